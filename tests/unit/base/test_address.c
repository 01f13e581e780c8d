/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 60 and 240 characters. */
#define LABEL "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LABELS LABEL "." LABEL "." LABEL "." LABEL

static void every_spelling_of_a_plain_address_is_one(void **state)
{
	static const struct {
		const char *argument, *text;
	} rows[] = {
		{"<user@example.test>", "user@example.test"},
		{"user@example.test", "user@example.test"},
		{"<User@EXAMPLE.Test>", "user@example.test"},
		{"<user@example.test.>", "user@example.test"},
		{"< user @ example . test >", "user@example.test"},
		{"\t<user@example.test> ", "user@example.test"},
		{"<postmaster>", "postmaster"},
		{"<user.>", "user."},
		{"<a..b.@example.test>", "a..b.@example.test"},
		{"<.a@example.test>", ".a@example.test"},
		{"<user+tag@example.test>", "user+tag@example.test"},
		{"<#$&'*+-/=?^_`{|}~@example.test>", "#$&'*+-/=?^_`{|}~@example.test"},
		{"<\xc3\x84@example.test>", "\xc3\x84@example.test"},
		{"<a@b\xc3\xbc" "cher.test>", "a@b\xc3\xbc" "cher.test"},
		{"<a@xn--bcher-kva.test>", "a@xn--bcher-kva.test"},
		{"<a@_x.y-z.test>", "a@_x.y-z.test"},
		{"<a@[192.0.2.1]>", "a@[192.0.2.1]"},
		{"<a@[IPv6:2001:DB8::1]>", "a@[ipv6:2001:db8::1]"},
		{"<a@" LABELS ">", "a@" LABELS},
		/* comments */
		{"<(1)user@example.test>", "user@example.test"},
		{"<(a(b)\\)\\((c))user@example.test(<@:>)>", "user@example.test"},
		{"<user(1)@(2)example(3).(4)test(5)>(6)", "user@example.test"},
		{"(1) <(2) user@example.test>", "user@example.test"},
		{"<()user(\"@)(\")@example.test>", "user@example.test"},
		/* quotes */
		{"<\"user\"@example.test>", "user@example.test"},
		{"<\"us\\er\"@example.test>", "user@example.test"},
		{"<\"us\"(1).\"er\"@example.test>", "us.er@example.test"},
		{"<\"Us.Er\"@example.test>", "us.er@example.test"},
		{"<\"postmaster\">", "postmaster"},
		/* routes */
		{"<@a.test:user@example.test>", "user@example.test"},
		{"<@a.test,@b.test:User@example.test>", "user@example.test"},
		{"<@ a(:).test. , @[1.2.3.4] ,@[IPv6:::1]: user@example.test>",
		 "user@example.test"},
		{"<@(:postmaster@)x.test:adam>", "adam"},
		{"<@" LABELS ",@" LABELS ",@" LABELS ":user@example.test>", "user@example.test"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address address, again;

		address_parse(rows[i].argument, &address);
		if (!address.is_plain || !address.is_whole)
			fail_msg("%s is not plain", rows[i].argument);
		assert_string_equal(address.text, rows[i].text);
		address_parse(address.text, &again);
		assert_true(again.is_plain);
		assert_string_equal(again.text, address.text);
	}
}

static void what_is_not_plain_is_taken_as_it_is(void **state)
{
	static const struct {
		const char *argument, *text;
	} rows[] = {
		{"<>", ""},
		{"", ""},
		{"<", "<"},
		{">", ">"},
		{"<User@Example.test", "<user@example.test"},
		{"User@example.test>", "user@example.test>"},
		{"<<user@example.test>>", "<user@example.test>"},
		{"<user@example.test>x", "<user@example.test>x"},
		{"Name<user@example.test>", "name<user@example.test>"},
		{"<()>", "()"},
		{"<(user@example.test>", "(user@example.test"},
		{"<((1)user@example.test>", "((1)user@example.test"},
		{"<user@example.test)>", "user@example.test)"},
		{"<(\\", "<(\\"},
		{"<\"user@example.test>", "\"user@example.test"},
		{"<\"user\\", "<\"user\\"},
		{"<\"user\\\"@example.test>", "\"user\\\"@example.test"},
		{"<\"\"@example.test>", "\"\"@example.test"},
		{"<\"A b\"@example.test>", "\"a b\"@example.test"},
		{"<\"postmaster@example.test\">", "\"postmaster@example.test\""},
		{"<\"postmaster\\@\"@example.test>", "\"postmaster\\@\"@example.test"},
		{"<post\\master@example.test>", "post\\master@example.test"},
		{"<a b@example.test>", "a b@example.test"},
		{"<a(1)b@example.test>", "a(1)b@example.test"},
		{"<\"a\"b@example.test>", "\"a\"b@example.test"},
		{"<a\"b\"@example.test>", "a\"b\"@example.test"},
		{"<\"a\"\"b\"@example.test>", "\"a\"\"b\"@example.test"},
		{"<AZaz@[`{09.Test>", "azaz@[`{09.test"},
		{"<user%example.test@example.test>", "user%example.test@example.test"},
		{"<example.test!user>", "example.test!user"},
		{"<user@a.test@example.test>", "user@a.test@example.test"},
		{"<user@>", "user@"},
		{"<@example.test>", "@example.test"},
		{"<user@example..test>", "user@example..test"},
		{"<user@example.test..>", "user@example.test.."},
		{"<user@.example.test>", "user@.example.test"},
		{"<user@exam ple.test>", "user@exam ple.test"},
		{"<user@\"example\".test>", "user@\"example\".test"},
		{"<user@" LABEL "aaaa>", "user@" LABEL "aaaa"},
		{"<user@" LABELS ".aaaaaaaaaaaaa>", "user@" LABELS ".aaaaaaaaaaaaa"},
		{"<user@[192.0.2.1>", "user@[192.0.2.1"},
		{"<user@[1]x>", "user@[1]x"},
		{"<user,@example.test>", "user,@example.test"},
		{"<user@example.test;>", "user@example.test;"},
		{"<grp:user@example.test;>", "grp:user@example.test;"},
		{"<us\x01" "er@example.test>", "us\x01" "er@example.test"},
		/* routes that are none */
		{"<@nocolon>", "@nocolon"},
		{"<@:user@example.test>", "@:user@example.test"},
		{"<@a.test,:user@example.test>", "@a.test,:user@example.test"},
		{"<@a.test,b.test:user@example.test>", "@a.test,b.test:user@example.test"},
		{"<@a.test @b.test:user>", "@a.test @b.test:user"},
		{"<@[1:postmaster@2]:adam>", "@[1:postmaster@2]:adam"},
		{"<@\"a:postmaster@b\":adam>", "@\"a:postmaster@b\":adam"},
		{"<@a.test:@b.test:user>", "@a.test:@b.test:user"},
		{"<a.test:user@example.test>", "a.test:user@example.test"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address address, mailbox;

		address_parse(rows[i].argument, &address);
		if (address.is_plain || !address.is_whole)
			fail_msg("%s is plain or not whole", rows[i].argument);
		assert_string_equal(address.text, rows[i].text);
		assert_false(address_mailbox(&address, "+", &mailbox));
	}
}

static void padding_is_dropped_before_anything_is_cut(void **state)
{
	static const char *const formats[][2] = {
		{"<(", ")user@example.test>"},
		{"<user@example.test(", ")>"},
		{"(", ")<user@example.test>"},
	};
	char argument[3000];

	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++) {
		struct address address;

		strcpy(argument, formats[i][0]);
		memset(argument + strlen(argument), 'x', 2000);
		strcpy(argument + strlen(formats[i][0]) + 2000, formats[i][1]);
		address_parse(argument, &address);
		assert_true(address.is_plain && address.is_whole);
		assert_string_equal(address.text, "user@example.test");
	}
}

static void long_address_is_cut_and_not_whole(void **state)
{
	static const size_t lengths[] = {ADDRESS_TEXT_MAX - 2, ADDRESS_TEXT_MAX - 1, ADDRESS_TEXT_MAX,
					 ADDRESS_TEXT_MAX + 1, ADDRESS_TEXT_MAX + 2, 10000};
	char argument[10003];

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		bool fits = lengths[i] < ADDRESS_TEXT_MAX;
		size_t kept = fits ? lengths[i] : ADDRESS_TEXT_MAX - 1;
		struct address *address = malloc(sizeof(*address));

		assert_non_null(address);
		memset(argument, 'X', sizeof(argument));
		argument[0] = '<';
		argument[lengths[i] + 1] = '>';
		argument[lengths[i] + 2] = '\0';
		for (unsigned quoted = 0; quoted < 2; quoted++) {
			if (quoted)
				argument[2] = ' ';
			address_parse(argument, address);
			assert_int_equal(address->is_whole, fits);
			assert_int_equal(address->is_plain, fits && !quoted);
			assert_int_equal(strlen(address->text), kept);
			assert_int_equal(strspn(address->text, quoted ? "x " : "x"), kept);
		}
		free(address);
	}
}

static void mailbox_is_without_its_extension(void **state)
{
	static const struct {
		const char *argument, *mailbox; /* NULL: nobody can say */
	} rows[] = {
		{"<user@example.test>", "user@example.test"},
		{"<user+a@example.test>", "user@example.test"},
		{"<user+a+b@example.test>", "user@example.test"},
		{"<user+@example.test>", "user@example.test"},
		{"<\"user+a\"@example.test>", "user@example.test"},
		{"<user+a>", "user"},
		{"<user>", "user"},
		{"<+a@example.test>", "+a@example.test"},
		{"<+a+b@example.test>", "+a@example.test"},
		{"<user-a=b@example.test>", "user-a=b@example.test"},
		{"<user@[192.0.2.1]>", NULL},
		{"<user@[IPv6:0::1]>", NULL},
		{"<po\xc5\xbftmaster@example.test>", NULL},
		{"<user@example.te\xc5\xbft>", NULL},
		{"<user%example.test>", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct address address, mailbox;

		address_parse(rows[i].argument, &address);
		if (address_mailbox(&address, "+", &mailbox) != (rows[i].mailbox != NULL))
			fail_msg("%s", rows[i].argument);
		if (rows[i].mailbox == NULL)
			continue;
		assert_string_equal(mailbox.text, rows[i].mailbox);
		assert_true(mailbox.is_plain && mailbox.is_whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling_of_a_plain_address_is_one),
		cmocka_unit_test(what_is_not_plain_is_taken_as_it_is),
		cmocka_unit_test(padding_is_dropped_before_anything_is_cut),
		cmocka_unit_test(long_address_is_cut_and_not_whole),
		cmocka_unit_test(mailbox_is_without_its_extension),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
