/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "judge/mta_kind.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What each sends at connect when it is asked for all of these, as seen at the MTAs themselves. */
static void each_mta_is_told_by_what_it_sends(void **state)
{
	static const struct {
		const char *label;
		struct mta_signs signs; /* version, connections, rate, family */
		const char *bad_count; /* at a recipient */
		enum mta_kind at_connect, at_rcpt;
	} rows[] = {
		{"Postfix 3.7", {"Postfix 3.7.11", "1", NULL, NULL}, NULL, MTA_POSTFIX, MTA_POSTFIX},
		{"Postfix 3.10", {"Postfix 3.10.13", "0", NULL, NULL}, NULL, MTA_POSTFIX, MTA_POSTFIX},
		{"mail_name", {"Postcow 3.7.11", "1", NULL, NULL}, NULL, MTA_POSTFIX, MTA_POSTFIX},
		{"of several words", {"My own MTA 3", "1", NULL, NULL}, NULL, MTA_POSTFIX, MTA_POSTFIX},
		{"mail_name of Sendmail", {"8.17.1.9 3.7.11", "1", NULL, NULL}, NULL, MTA_POSTFIX, MTA_POSTFIX},
		{"mail_name empty", {" 3.7.11", "1", NULL, NULL}, NULL, MTA_POSTFIX, MTA_POSTFIX},
		{"mail_version empty", {"server ", "1", NULL, NULL}, NULL, MTA_POSTFIX, MTA_POSTFIX},
		{"milter_macro_v", {"server", "1", NULL, NULL}, NULL, MTA_POSTFIX, MTA_POSTFIX},
		{"milter_macro_v of Sendmail", {"8.17.1.9", "1", NULL, NULL}, NULL, MTA_UNKNOWN, MTA_UNKNOWN},
		{"milter_macro_defaults", {"Postfix 3.7.11", "1", "1", NULL}, NULL, MTA_UNKNOWN, MTA_UNKNOWN},
		{"the same at RCPT", {"Postfix 3.7.11", "1", NULL, NULL}, "0", MTA_POSTFIX, MTA_UNKNOWN},
		{"Postfix before 2.6", {"Postfix 2.5", NULL, NULL, NULL}, NULL, MTA_UNKNOWN, MTA_UNKNOWN},
		{"Sendmail 8.17", {"8.17.1.9", "1", "1", "inet"}, "0", MTA_SENDMAIL, MTA_SENDMAIL},
		{"Sendmail 8.18", {"8.18.1", "1", "2", "inet6"}, "1", MTA_SENDMAIL, MTA_SENDMAIL},
		{"of a vendor", {"8.14.4+Sun", "1", "1", "inet"}, "0", MTA_SENDMAIL, MTA_SENDMAIL},
		{"another v in sendmail.cf", {"Foo 1", "1", "1", "inet"}, "0", MTA_UNKNOWN, MTA_UNKNOWN},
		{"no v in sendmail.cf", {"", "1", "1", "inet"}, "0", MTA_SENDMAIL, MTA_SENDMAIL},
		{"Sendmail that lets no macro be chosen", {NULL, NULL, NULL, NULL}, "1", MTA_UNKNOWN, MTA_SENDMAIL},
		{"silence", {NULL, NULL, NULL, NULL}, NULL, MTA_UNKNOWN, MTA_UNKNOWN},
		{"empty macros", {"", "", "", ""}, "", MTA_UNKNOWN, MTA_UNKNOWN},
		{"a third MTA", {"Third MTA 1.0", NULL, NULL, NULL}, NULL, MTA_UNKNOWN, MTA_UNKNOWN},
		{"one that calls itself Postfix", {"Postfix", NULL, NULL, NULL}, NULL, MTA_UNKNOWN, MTA_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum mta_finding first = mta_find(MTA_UNKNOWN, &rows[i].signs);
		enum mta_finding then = mta_find_more(first, rows[i].bad_count);

		if (mta_kind_of(first) != rows[i].at_connect || mta_kind_of(then) != rows[i].at_rcpt)
			fail_msg("%s: %s (%s), then %s (%s)", rows[i].label,
				 mta_kind_name(mta_kind_of(first)), mta_finding_text(first),
				 mta_kind_name(mta_kind_of(then)), mta_finding_text(then));
		/* Once found it does not waver. */
		assert_int_equal(mta_find_more(then, rows[i].bad_count), then);
		assert_int_equal(mta_find_more(then, NULL), then);
	}
}

static void what_is_configured_holds_whatever_it_sends(void **state)
{
	static const struct mta_signs postfix = {"Postfix 3.7.11", "1", NULL, NULL};
	static const struct mta_signs sendmail = {"8.17.1.9", "1", "1", "inet"};

	(void)state;
	assert_int_equal(mta_find(MTA_POSTFIX, &sendmail), MTA_SET_POSTFIX);
	assert_int_equal(mta_find(MTA_SENDMAIL, &postfix), MTA_SET_SENDMAIL);
	assert_int_equal(mta_find_more(MTA_SET_POSTFIX, "1"), MTA_SET_POSTFIX);
	assert_int_equal(mta_kind_of(MTA_SET_POSTFIX), MTA_POSTFIX);
	assert_int_equal(mta_kind_of(MTA_SET_SENDMAIL), MTA_SENDMAIL);
}

static void what_is_not_known_is_on_the_safe_side(void **state)
{
	(void)state;
	assert_true(mta_heeds_421_at_rcpt(MTA_SENDMAIL));
	assert_false(mta_heeds_421_at_rcpt(MTA_POSTFIX));
	assert_false(mta_heeds_421_at_rcpt(MTA_UNKNOWN));
	assert_int_equal(mta_default_timeout_ms(MTA_POSTFIX), 30000);
	assert_int_equal(mta_default_timeout_ms(MTA_SENDMAIL), 10000);
	assert_int_equal(mta_default_timeout_ms(MTA_UNKNOWN), 10000);
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(mta_kind_named("auto"), MTA_UNKNOWN);
	assert_int_equal(mta_kind_named("Postfix"), MTA_POSTFIX);
	assert_int_equal(mta_kind_named("sendmail"), MTA_SENDMAIL);
	assert_int_equal(mta_kind_named("unknown"), -1);
	assert_int_equal(mta_kind_named(""), -1);
	for (int finding = 0; finding < MTA_FINDINGS; finding++)
		assert_true(strlen(mta_finding_text((enum mta_finding)finding)) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mta_is_told_by_what_it_sends),
		cmocka_unit_test(what_is_configured_holds_whatever_it_sends),
		cmocka_unit_test(what_is_not_known_is_on_the_safe_side),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
