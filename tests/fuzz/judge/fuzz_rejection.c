/* SPDX-License-Identifier: BSD-2-Clause */
/* {rcpt_mailer}, {rcpt_host}, {nbadrcpts}, envelope addresses, patterns of offences: one a line. */
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "fuzz.h"
#include "judge/rejection.h"

static void classify(const char *mailer, const char *host, bool is_sendmail)
{
	struct dsn code = {9, 9, 9};
	enum rejection_outcome outcome = rejection_classify(mailer, host, is_sendmail, &code);
	char text[DSN_TEXT_MAX];
	struct dsn again;

	if (outcome == RCPT_ACCEPTED)
		CHECK(strcmp(mailer, "error") != 0 || strchr(host, ' ') != NULL);
	if (outcome != RCPT_REJECTED && outcome != RCPT_REFUSED)
		return;
	CHECK(strcmp(mailer, "error") == 0);
	CHECK(code.class == (outcome == RCPT_REJECTED ? 5 : 4));
	CHECK(code.subject <= 999 && code.detail <= 999);
	CHECK(rejection_classify("error", dsn_format(&code, text), is_sendmail, &again) == outcome);
	CHECK(memcmp(&code, &again, sizeof(code)) == 0);
}

/* An address, whatever its spelling, is one text; nothing in it was not in the argument. */
static void check_plain(const struct address *address)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789#$&'*+-/=?^_`{|}~.@[]:";
	const char *at = strchr(address->text, '@'), *domain = at != NULL ? at + 1 : "x";
	struct address again, mailbox;
	char padded[ADDRESS_TEXT_MAX * 3];

	CHECK(address->is_whole && address->text[0] != '\0' && at != address->text);
	for (const char *p = address->text; *p != '\0'; p++)
		CHECK((unsigned char)*p >= 0x80 || strchr(allowed, *p) != NULL);
	CHECK(strcspn(address->text, "[]:@") == strcspn(address->text, "@"));
	CHECK(*domain != '\0' && strchr(domain, '@') == NULL && strlen(domain) < ADDRESS_TEXT_MAX);
	address_parse(address->text, &again);
	CHECK(again.is_plain && strcmp(again.text, address->text) == 0);
	snprintf(padded, sizeof(padded), "( \\) (%0600d)) < @a(:), @[::1]:%s () >", 1, address->text);
	address_parse(padded, &again);
	CHECK(again.is_plain && strcmp(again.text, address->text) == 0);
	if (!address_mailbox(address, "+", &mailbox))
		return;
	CHECK(mailbox.is_plain && mailbox.is_whole && strlen(mailbox.text) <= strlen(address->text));
	address_parse(mailbox.text, &again);
	CHECK(again.is_plain && strcmp(again.text, mailbox.text) == 0);
	CHECK(address_mailbox(&mailbox, "+", &again) && strcmp(again.text, mailbox.text) == 0);
}

static void parse_address(const char *argument)
{
	struct address *address = malloc(sizeof(*address)), mailbox;
	bool seen[256] = {false};

	CHECK(address != NULL);
	address_parse(argument, address);
	CHECK(strlen(address->text) < ADDRESS_TEXT_MAX && strlen(address->text) <= strlen(argument));
	for (const char *p = argument; *p != '\0'; p++)
		seen[(unsigned char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p)] = true;
	for (const char *p = address->text; *p != '\0'; p++)
		CHECK(seen[(unsigned char)*p]);
	if (address->is_plain)
		check_plain(address);
	else
		CHECK(!address_mailbox(address, "+", &mailbox));
	CHECK(address->is_whole || strlen(address->text) == ADDRESS_TEXT_MAX - 1);
	free(address);
}

static void read_offence(const char *text, const struct dsn *code)
{
	struct offence offence;
	char error[100] = "";

	if (!offence_parse(text, text[0] == '4', &offence, error, sizeof(error))) {
		CHECK(error[0] != '\0');
		return;
	}
	CHECK(offence.weight <= OFFENCE_WEIGHT_MAX);
	CHECK(offence.subject >= -1 && offence.subject <= 999);
	CHECK(offence.detail >= -1 && offence.detail <= 999);
	CHECK(offence_weight(&offence, 1, code) <= OFFENCE_WEIGHT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	unsigned flags = take_byte(&input), count = UINT32_MAX;
	struct dsn code = {(uint16_t)(2 + flags % 4), (uint16_t)take_number(&input, 2), 1};
	char *mailer = take_text(&input, '\n'), *host = take_text(&input, '\n');
	char *argument = take_text(&input, '\n'), *offence = take_text(&input, '\n');
	char *bad_count = take_text(&input, '\n');

	classify(mailer, host, (flags & 1) != 0);
	classify("error", host, (flags & 1) != 0);
	classify(NULL, host, true);
	classify(mailer, NULL, (flags & 2) != 0);
	parse_address(argument);
	read_offence(offence, &code);
	CHECK(!rejection_count_parse(NULL, &count));
	if (rejection_count_parse(bad_count, &count))
		CHECK(count <= 100000 && count == strtoul(bad_count, NULL, 10));
	else
		CHECK(count == UINT32_MAX);
	free(mailer);
	free(host);
	free(argument);
	free(offence);
	free(bad_count);
	return 0;
}
