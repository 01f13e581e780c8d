/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds a certificate in a list by what the MTA says of it. */
#include "judge/certificates.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "names.h"

/*
 * With its kind in front: "cn:" a common name, "dn:" a subject, "only:" the CN that is all of one,
 * "fp:" a fingerprint.
 */
#define NAME_MAX_LENGTH 512
#define ITEM_MAX_LENGTH (NAME_MAX_LENGTH - 6)

struct certificates {
	struct names names;
};

struct certificates *certificates_new(void)
{
	return calloc(1, sizeof(struct certificates));
}

void certificates_free(struct certificates *certificates)
{
	if (certificates == NULL)
		return;
	names_free(&certificates->names);
	free(certificates);
}

/* Hexadecimal digits, with or without colons between bytes. */
static bool looks_like_a_fingerprint(const char *text)
{
	return text[strspn(text, "0123456789abcdefABCDEF:")] == '\0' &&
	       (strchr(text, ':') != NULL || strlen(text) >= 32);
}

/* The digits of a fingerprint of MD5, SHA-1 or SHA-2; false if it is none. */
static bool read_fingerprint(const char *text, char digits[NAME_MAX_LENGTH])
{
	static const size_t lengths[] = {32, 40, 56, 64, 96, 128};
	bool has_colons = strchr(text, ':') != NULL;
	size_t length = 0;

	for (; *text != '\0'; text++) {
		if (has_colons && length > 0 && length % 2 == 0 && *text++ != ':')
			return false;
		if (!isxdigit((unsigned char)*text) || length == 128)
			return false;
		digits[length++] = *text;
	}
	digits[length] = '\0';
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		if (length == lengths[i])
			return true;
	return false;
}

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* What was meant as a choice rather than as somebody's name. */
static bool is_word(const char *text)
{
	static const char *const words[] = {"no", "off",  "false", "none",    "yes",
					    "on", "true", "all",   "verified"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0)
			return true;
	return false;
}

static bool add(struct certificates *certificates, const char *kind, const char *text)
{
	char name[NAME_MAX_LENGTH];

	snprintf(name, sizeof(name), "%.4s:%.*s", kind, ITEM_MAX_LENGTH, text);
	return names_add(&certificates->names, name);
}

/* The CN of a subject that is nothing but one, or NULL. */
static const char *only_common_name(const char *subject)
{
	bool is_only = strncasecmp(subject, "/CN=", 4) == 0 && strchr(subject + 1, '/') == NULL;

	return is_only ? subject + 4 : NULL;
}

bool certificates_add(struct certificates *certificates, const char *text, char *error, size_t size)
{
	const char *common_name = only_common_name(text);
	char digits[NAME_MAX_LENGTH];
	bool is_added;

	if (*text == '\0' || (common_name != NULL && *common_name == '\0'))
		return error_set(error, size, "empty");
	if (strlen(text) > ITEM_MAX_LENGTH)
		return error_set(error, size, "too long");
	if (!is_printable(text))
		return error_set(error, size, "control character");
	if (is_word(text))
		return error_set(
			error, size,
			"a word, not a certificate; if it is one's name, write /CN= before it");
	if (looks_like_a_fingerprint(text)) {
		if (!read_fingerprint(text, digits))
			return error_set(error, size, "not a fingerprint of MD5, SHA-1 or SHA-2");
		is_added = add(certificates, "fp", digits);
	} else if ((*text == '/') != (strchr(text, '=') != NULL)) {
		return error_set(error, size,
				 *text == '/' ? "neither a subject nor a common name"
					      : "a whole subject begins with a slash, as in "
						"/O=Example/CN=mail.example.com");
	} else if (*text != '/') {
		is_added = add(certificates, "cn", text);
	} else {
		is_added = add(certificates, "dn", text) &&
			   (common_name == NULL || add(certificates, "only", common_name));
	}
	return is_added || error_set(error, size, "out of memory");
}

void certificates_seal(struct certificates *certificates)
{
	names_sort(&certificates->names);
}

static bool is_told(const char *macro)
{
	return macro != NULL && *macro != '\0';
}

/*
 * Sendmail, and whoever else says {verify}, says so there. Postfix has no {verify}, and tells trusted
 * subjects only.
 */
bool certificate_is_verified(const struct certificate *certificate, enum mta_kind mta)
{
	if (is_told(certificate->verify))
		return strcmp(certificate->verify, "OK") == 0;
	return mta == MTA_POSTFIX && is_told(certificate->subject);
}

static bool has(const struct certificates *certificates, const char *kind, const char *text)
{
	char name[NAME_MAX_LENGTH];
	int length = snprintf(name, sizeof(name), "%s:%s", kind, text);

	if (length < 0 || (size_t)length >= sizeof(name))
		return false;
	for (char *p = name; *p != '\0'; p++)
		*p = names_lower(*p);
	return names_find(&certificates->names, name) != NULL;
}

static int digit_value(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *found = c != '\0' ? strchr(digits, c) : NULL;

	return found != NULL ? (int)(found - digits) : -1;
}

/*
 * Sendmail writes blanks and some signs as +XX (RFC 3461's xtext). The text is cut to the copy's
 * size.
 */
static void decode(const char *text, char copy[NAME_MAX_LENGTH])
{
	size_t length = 0;

	while (*text != '\0' && length < NAME_MAX_LENGTH - 1) {
		int high = *text == '+' ? digit_value(text[1]) : -1;
		int low = high >= 0 ? digit_value(text[2]) : -1;

		copy[length++] = low >= 0 ? (char)(high * 16 + low) : *text;
		text += low >= 0 ? 3 : 1;
	}
	copy[length] = '\0';
}

/* Whether the list has what Sendmail says, as it says it or in plain. */
static bool has_encoded(const struct certificates *certificates, const char *kind, const char *text)
{
	char plain[NAME_MAX_LENGTH];

	if (!is_told(text))
		return false;
	if (has(certificates, kind, text))
		return true;
	/* Of one that was cut, `has` finds it too long. */
	decode(text, plain);
	return has(certificates, kind, plain);
}

static bool has_fingerprint(const struct certificates *certificates, const char *text)
{
	char digits[NAME_MAX_LENGTH];

	return is_told(text) && read_fingerprint(text, digits) && has(certificates, "fp", digits);
}

bool certificates_have(const struct certificates *certificates,
		       const struct certificate *certificate, enum mta_kind mta)
{
	if (!certificate_is_verified(certificate, mta))
		return false;
	if (!is_told(certificate->verify))
		return has(certificates, "cn", certificate->subject) ||
		       has(certificates, "only", certificate->subject);
	return has_encoded(certificates, "dn", certificate->subject) ||
	       has_encoded(certificates, "cn", certificate->common_name) ||
	       has_fingerprint(certificates, certificate->fingerprint) ||
	       has_fingerprint(certificates, certificate->md5);
}
