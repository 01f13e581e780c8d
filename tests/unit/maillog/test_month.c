/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of months in, numbers out; stamps whose month is in no language that is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "maillog/month.h"
#include "maillog/timestamp.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* As `journalctl -o short` writes them in these locales of glibc; names with a dot are one word. */
static const struct {
	const char *locale, *names;
} rows[] = {
	{"C", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"},
	{"bg_BG", "яну фев мар апр май юни юли авг сеп окт ное дек"},
	{"bs_BA", "Jan Feb Mar Apr Maj Jun Jul Aug Sep Okt Nov Dec"},
	{"de_AT", "Jän Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez"},
	{"de_DE", "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez"},
	{"et_EE", "jaan veebr märts apr mai juuni juuli aug sept okt nov dets"},
	{"fi_FI", "tammi helmi maalis huhti touko kesä heinä elo syys loka marras joulu"},
	{"fr_CA", "jan fév mar avr mai jun jui aoû sep oct nov déc"},
	{"fr_FR", "janv. févr. mars avril mai juin juil. août sept. oct. nov. déc."},
	{"hu_HU", "jan febr márc ápr máj jún júl aug szept okt nov dec"},
	{"id_ID", "Jan Feb Mar Apr Mei Jun Jul Agu Sep Okt Nov Des"},
	{"is_IS", "jan feb mar apr maí jún júl ágú sep okt nóv des"},
	{"lv_LV", "jan feb mar apr mai jūn jūl aug sep okt nov dec"},
	{"mk_MK", "јан фев мар апр мај јун јул авг сеп окт ное дек"},
	{"nn_NO", "jan. feb. mars april mai juni juli aug. sep. okt. nov. des."},
	{"pt_BR", "jan fev mar abr mai jun jul ago set out nov dez"},
	{"ro_RO", "ian feb mar apr mai iun iul aug sep oct nov dec"},
	{"ru_RU", "янв фев мар апр мая июн июл авг сен окт ноя дек"},
	{"sl_SI", "jan feb mar apr maj jun jul avg sep okt nov dec"},
	{"sr_RS", "јан феб мар апр мај јун јул авг сеп окт нов дец"},
	{"tr_TR", "Oca Şub Mar Nis May Haz Tem Ağu Eyl Eki Kas Ara"},
};

static void whole_years_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct span rest = {rows[i].names, strlen(rows[i].names)}, name;

		for (int month = 1; month <= 12; month++) {
			assert_true(span_word(&rest, &name));
			if (maillog_month(name) != month)
				fail_msg("%s: %.*s is %d, not %d", rows[i].locale, (int)name.length,
					 name.text, maillog_month(name), month);
		}
		assert_int_equal(rest.length, 0);
	}
}

/* Polish and Croatian. */
static void names_of_two_months_are_not_read(void **state)
{
	static const char *const names[] = {"gru", "lip", "lis", "srp", "sie", "stu"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		assert_int_equal(maillog_month((struct span){names[i], strlen(names[i])}), 0);
}

static void foreign_months_are_told(void **state)
{
	static const struct {
		const char *line;
		bool is_foreign;
	} lines[] = {
		{"lip 20 12:34:56 mx x: y", true},
		{"gru 01 12:34:56 mx x: y", true},
		{"čec  1 12:34:56 mx x: y", true},
		{"Thg 1 20 12:34:56 mx x: y", true},
		{"Ebr  20 12:34:56 mx x: y", true},
		{"सितम्बर 20 12:34:56 mx x: y", true},
		{"<22>lip 20 12:34:56 mx x: y", true},
		{"mail-1  | lip 20 12:34:56 mx x: y", true},
		{"lip 20 2026 12:34:56 mx x: y", true},
		{"Jul 20 12:34:56 mx x: y", false},
		{"juil. 20 12:34:56 mx x: y", false},
		{"2026-11-20T12:34:56Z mx x: y", false},
		{"lip 32 12:34:56 mx x: y", false},
		{"lip 20 12:34 mx x: y", false},
		{"one two three 20 12:34:56 mx x: y", false},
		{"12:34:56 mx x: y", false},
		{"20 12:34:56 mx x: y", false},
		{"rubbish", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		if (maillog_timestamp_is_foreign(lines[i].line, strlen(lines[i].line)) !=
		    lines[i].is_foreign)
			fail_msg("%s", lines[i].line);
}

/* Estonian pads its names. */
static void padded_months_are_read(void **state)
{
	static const char line[] = "apr   09 12:34:56 mx x: y";
	struct maillog_timestamps stamps;
	int64_t wall_ms;
	size_t length;

	(void)state;
	maillog_timestamp_begin(&stamps, INT64_C(1795178096), 0);
	assert_true(maillog_timestamp_read(&stamps, line, strlen(line), &wall_ms, &length));
	assert_int_equal(length, strlen("apr   09 12:34:56 "));
	assert_false(maillog_timestamp_is_foreign(line, strlen(line)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_years_are_read),
		cmocka_unit_test(names_of_two_months_are_not_read),
		cmocka_unit_test(foreign_months_are_told),
		cmocka_unit_test(padded_months_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
