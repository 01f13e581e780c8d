/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "session/open_sessions.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct prefix prefix(const char *text)
{
	struct prefix prefix;

	assert_true(prefix_parse(text, &prefix));
	return prefix;
}

static int set_up(void **state)
{
	*state = open_sessions_new();
	return *state == NULL || hash_init() != 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	open_sessions_free(*state);
	return 0;
}

static void only_older_sessions_count(void **state)
{
	struct open_sessions *peers = *state;
	const struct prefix client = prefix("192.0.2.1/32");
	struct open_session session[4] = {0};

	for (size_t i = 0; i < COUNT(session); i++)
		open_sessions_join(peers, &session[i], &client);
	for (unsigned i = 0; i < COUNT(session); i++)
		for (unsigned limit = 1; limit <= COUNT(session); limit++)
			assert_int_equal(open_sessions_has_older(peers, &session[i], limit), i >= limit);
	for (size_t i = 0; i < COUNT(session); i++)
		open_sessions_leave(peers, &session[i]);
}

static void clients_are_counted_apart(void **state)
{
	struct open_sessions *peers = *state;
	const struct prefix one = prefix("192.0.2.1/32"), two = prefix("192.0.2.2/32"),
			    six = prefix("2001:db8::/64");
	struct open_session a = {0}, b = {0}, c = {0}, a2 = {0};

	open_sessions_join(peers, &a, &one);
	open_sessions_join(peers, &b, &two);
	open_sessions_join(peers, &c, &six);
	open_sessions_join(peers, &a2, &one);
	assert_false(open_sessions_has_older(peers, &b, 1));
	assert_false(open_sessions_has_older(peers, &c, 1));
	assert_true(open_sessions_has_older(peers, &a2, 1));
	open_sessions_leave(peers, &a);
	open_sessions_leave(peers, &b);
	open_sessions_leave(peers, &c);
	open_sessions_leave(peers, &a2);
}

static void closing_an_older_session_makes_room(void **state)
{
	struct open_sessions *peers = *state;
	const struct prefix client = prefix("192.0.2.1/32");
	struct open_session session[3] = {0}, late = {0};

	for (size_t i = 0; i < COUNT(session); i++)
		open_sessions_join(peers, &session[i], &client);
	assert_true(open_sessions_has_older(peers, &session[2], 2));
	/* From the middle, from the front; a later one counts as later. */
	open_sessions_leave(peers, &session[1]);
	assert_false(open_sessions_has_older(peers, &session[2], 2));
	assert_true(open_sessions_has_older(peers, &session[2], 1));
	open_sessions_join(peers, &late, &client);
	assert_true(open_sessions_has_older(peers, &late, 2));
	open_sessions_leave(peers, &session[0]);
	assert_false(open_sessions_has_older(peers, &session[2], 1));
	assert_true(open_sessions_has_older(peers, &late, 1));
	open_sessions_leave(peers, &late);
	open_sessions_leave(peers, &session[2]);
	/* The client's group has gone; it may come again. */
	open_sessions_join(peers, &late, &client);
	assert_false(open_sessions_has_older(peers, &late, 1));
	open_sessions_leave(peers, &late);
}

static void session_that_is_not_listed_is_never_too_many(void **state)
{
	struct open_sessions *peers = *state;
	struct open_session session = {0};
	const struct prefix client = prefix("192.0.2.1/32");

	assert_false(open_sessions_has_older(peers, &session, 0));
	open_sessions_leave(peers, &session);
	open_sessions_join(peers, &session, &client);
	open_sessions_leave(peers, &session);
	assert_null(session.group);
	open_sessions_leave(peers, &session);
	assert_false(open_sessions_has_older(peers, &session, 1));
}

static void freeing_with_sessions_listed_leaks_nothing(void **state)
{
	struct open_session a = {0}, b = {0};
	const struct prefix one = prefix("192.0.2.1/32"), two = prefix("192.0.2.2/32");
	struct open_sessions *peers = open_sessions_new();

	(void)state;
	assert_non_null(peers);
	open_sessions_join(peers, &a, &one);
	open_sessions_join(peers, &b, &two);
	open_sessions_free(peers);
	open_sessions_free(NULL);
}

static void *join_and_leave(void *argument)
{
	struct open_sessions *peers = argument;
	const struct prefix client = {.family = 4, .bits = 32, .address = {192, 0, 2, 1}};

	for (int i = 0; i < 2000; i++) {
		struct open_session a = {0}, b = {0};

		open_sessions_join(peers, &a, &client);
		open_sessions_join(peers, &b, &client);
		if (!open_sessions_has_older(peers, &b, 1))
			return peers;
		open_sessions_leave(peers, &a);
		open_sessions_leave(peers, &b);
	}
	return NULL;
}

static void many_threads_join_and_leave(void **state)
{
	struct open_sessions *peers = *state;
	pthread_t thread[4];
	const struct prefix client = prefix("192.0.2.1/32");
	struct open_session last = {0};

	for (size_t i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, join_and_leave, peers), 0);
	for (size_t i = 0; i < COUNT(thread); i++) {
		void *result;

		pthread_join(thread[i], &result);
		assert_null(result);
	}
	open_sessions_join(peers, &last, &client);
	assert_false(open_sessions_has_older(peers, &last, 1));
	open_sessions_leave(peers, &last);
}

static void all_sessions_of_a_client_are_marked(void **state)
{
	struct open_sessions *peers = *state;
	const struct prefix one = prefix("192.0.2.1/32"), two = prefix("192.0.2.2/32");
	struct open_session a = {0}, b = {0}, other = {0};

	assert_int_equal(open_sessions_mark(peers, &one, NULL), 0);
	open_sessions_join(peers, &a, &one);
	open_sessions_join(peers, &b, &one);
	open_sessions_join(peers, &other, &two);
	assert_int_equal(open_sessions_count(peers, &one), 2);
	assert_int_equal(open_sessions_mark(peers, &one, NULL), 2);
	assert_true(a.is_marked);
	assert_true(b.is_marked);
	assert_false(other.is_marked);
	open_sessions_leave(peers, &a);
	assert_int_equal(open_sessions_count(peers, &one), 1);
	open_sessions_leave(peers, &b);
	open_sessions_leave(peers, &other);
	assert_int_equal(open_sessions_count(peers, &one), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_sessions_of_a_client_are_marked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_older_sessions_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(clients_are_counted_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(closing_an_older_session_makes_room, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(session_that_is_not_listed_is_never_too_many,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(freeing_with_sessions_listed_leaks_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(many_threads_join_and_leave, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
