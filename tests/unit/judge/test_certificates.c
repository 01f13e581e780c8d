/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "judge/certificates.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MD5 "37:DB:D9:C9:9D:FD:E3:77:6E:33:95:CA:CD:5A:E9:79"
#define SHA256 "15:1B:76:0F:F0:5D:16:53:11:4E:7B:B0:42:62:8B:D3:74:7D:36:C3:7B:8F:7A:79:F8:B9:17:1C:C7:FC:E0:96"
#define PLAIN_SHA256 "151b760ff05d1653114e7bb042628bd3747d36c37b8f7a79f8b9171cc7fce096"

static bool list_has(const char *item, const struct certificate *certificate, enum mta_kind mta)
{
	struct certificates *certificates = certificates_new();
	char error[200];
	bool found;

	assert_non_null(certificates);
	assert_true(certificates_add(certificates, "somebody.else.example", error, sizeof(error)));
	if (!certificates_add(certificates, item, error, sizeof(error)))
		fail_msg("%s: %s", item, error);
	certificates_seal(certificates);
	found = certificates_have(certificates, certificate, mta);
	certificates_free(certificates);
	return found;
}

/* verify, subject, common name, fingerprint, md5: as the MTAs themselves say them. */
static void certificate_is_found_by_what_its_mta_says(void **state)
{
	static const struct {
		const char *item;
		struct certificate certificate;
		enum mta_kind mta;
		bool found;
	} rows[] = {
		/* Postfix */
		{"mx.example.net", {NULL, "mx.example.net", NULL, NULL, NULL}, MTA_POSTFIX, true},
		{"MX.example.net", {NULL, "mx.Example.net", NULL, NULL, NULL}, MTA_POSTFIX, true},
		{"/CN=mx.example.net", {NULL, "mx.example.net", NULL, NULL, NULL}, MTA_POSTFIX, true},
		{"/O=E/CN=mx.example.net", {NULL, "mx.example.net", NULL, NULL, NULL}, MTA_POSTFIX, false},
		{"/O=E/CN=mx", {NULL, "/O=E/CN=mx", NULL, NULL, NULL}, MTA_POSTFIX, false},
		{"example.net", {NULL, "mx.example.net", NULL, NULL, NULL}, MTA_POSTFIX, false},
		{"a b", {NULL, "a b", NULL, NULL, NULL}, MTA_POSTFIX, true},
		{"a b", {NULL, "a+20b", NULL, NULL, NULL}, MTA_POSTFIX, false},
		{MD5, {NULL, MD5, NULL, NULL, NULL}, MTA_POSTFIX, false},
		{"mx", {NULL, "", "mx", NULL, NULL}, MTA_POSTFIX, false},
		{"mx", {NULL, NULL, NULL, NULL, NULL}, MTA_POSTFIX, false},
		{"mx", {NULL, "mx", NULL, NULL, NULL}, MTA_UNKNOWN, false},
		{"mx", {NULL, "mx", "mx", NULL, NULL}, MTA_SENDMAIL, false},
		/* Sendmail */
		{"mx.example.net", {"OK", "/CN=mx.example.net", "mx.example.net", NULL, MD5}, MTA_SENDMAIL, true},
		{"/CN=mx.example.net", {"OK", "/CN=mx.example.net", "mx.example.net", NULL, MD5}, MTA_SENDMAIL, true},
		{"/CN=mx", {"OK", "/O=E/CN=mx", "mx", NULL, MD5}, MTA_SENDMAIL, false},
		{"/O=E/CN=mx", {"OK", "/O=E/CN=mx", "mx", NULL, MD5}, MTA_SENDMAIL, true},
		{"/O=E F/CN=mx", {"OK", "/O=E+20F/CN=mx", "mx", NULL, MD5}, MTA_SENDMAIL, true},
		{"/O=E+20F/CN=mx", {"OK", "/O=E+20F/CN=mx", "mx", NULL, MD5}, MTA_SENDMAIL, true},
		{"a b+20c", {"OK", "/CN=a+20b+2B20c", "a+20b+2B20c", NULL, MD5}, MTA_SENDMAIL, true},
		{"mx", {"OK", "/O=x/CN=mx/CN=evil", "evil", NULL, MD5}, MTA_SENDMAIL, false},
		{"mx", {"OK", "/CN=mx", NULL, NULL, NULL}, MTA_SENDMAIL, false},
		{MD5, {"OK", "/CN=mx", "mx", NULL, MD5}, MTA_SENDMAIL, true},
		{SHA256, {"OK", "/CN=mx", "mx", SHA256, NULL}, MTA_SENDMAIL, true},
		{PLAIN_SHA256, {"OK", "/CN=mx", "mx", SHA256, NULL}, MTA_SENDMAIL, true},
		{SHA256, {"OK", "/CN=mx", "mx", NULL, MD5}, MTA_SENDMAIL, false},
		{"mx", {"FAIL", "/CN=mx", "mx", NULL, MD5}, MTA_SENDMAIL, false},
		{MD5, {"FAIL", "/CN=mx", "mx", NULL, MD5}, MTA_SENDMAIL, false},
		{"mx", {"NO", "", "", NULL, ""}, MTA_SENDMAIL, false},
		{"mx", {"ok", "/CN=mx", "mx", NULL, MD5}, MTA_SENDMAIL, false},
		/* One that says {verify} is believed, whichever it is. */
		{"mx", {"OK", "/CN=mx", "mx", NULL, MD5}, MTA_UNKNOWN, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (list_has(rows[i].item, &rows[i].certificate, rows[i].mta) != rows[i].found)
			fail_msg("row %zu: %s", i, rows[i].item);
}

static void subject_that_is_cut_is_in_no_list(void **state)
{
	char item[400], subject[3000];
	struct certificate certificate = {NULL, subject, NULL, NULL, NULL};

	(void)state;
	memset(item, 'x', sizeof(item) - 1);
	item[sizeof(item) - 1] = '\0';
	for (size_t length = 395; length < sizeof(subject); length++) {
		memset(subject, 'x', length);
		subject[length] = '\0';
		assert_int_equal(list_has(item, &certificate, MTA_POSTFIX), length == sizeof(item) - 1);
		certificate = (struct certificate){"OK", "/CN=y", subject, NULL, NULL};
		assert_int_equal(list_has(item, &certificate, MTA_SENDMAIL), length == sizeof(item) - 1);
		certificate = (struct certificate){NULL, subject, NULL, NULL, NULL};
	}
}

static void what_is_no_certificate_is_refused(void **state)
{
	static const struct {
		const char *item, *reason;
	} rows[] = {
		{"", "empty"},
		{"/CN=", "empty"},
		{"no", "word"},
		{"Verified", "word"},
		{"yes", "word"},
		{"a\nb", "control"},
		{"CN=mx.example.net", "begins with a slash"},
		{"CN=mx, O=Example", "begins with a slash"},
		{"/etc/certificates", "neither"},
		{"15:1B:76", "fingerprint"},
		{"15:1B:76:0F:F0:5D:16:53:11:4E:7B:B0:42:62:8B:D3:74", "fingerprint"},
		{"151B:760F:F05D:1653:114E:7BB0:4262:8BD3", "fingerprint"},
		{"151b760ff05d1653114e7bb042628bd3747d36c37b8f7a79f8b9171cc7fce09", "fingerprint"},
		{":", "fingerprint"},
		{MD5 ":", "fingerprint"},
	};
	struct certificates *certificates = certificates_new();
	char error[200], longest[600];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (certificates_add(certificates, rows[i].item, error, sizeof(error)))
			fail_msg("row %zu is taken", i);
		if (strstr(error, rows[i].reason) == NULL)
			fail_msg("row %zu: %s", i, error);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(certificates_add(certificates, longest, error, sizeof(error)));
	assert_true(certificates_add(certificates, "/CN=no", error, sizeof(error)));
	assert_true(certificates_add(certificates, "abba", error, sizeof(error)));
	certificates_free(certificates);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificate_is_found_by_what_its_mta_says),
		cmocka_unit_test(subject_that_is_cut_is_in_no_list),
		cmocka_unit_test(what_is_no_certificate_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
