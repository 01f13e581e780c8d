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
	*state = peers_new();
	return *state == NULL || hash_init() != 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	peers_free(*state);
	return 0;
}

static void only_older_sessions_count(void **state)
{
	struct peers *peers = *state;
	const struct prefix client = prefix("192.0.2.1/32");
	struct peer session[4] = {0};

	for (size_t i = 0; i < COUNT(session); i++)
		peers_join(peers, &session[i], &client);
	for (unsigned i = 0; i < COUNT(session); i++)
		for (unsigned limit = 1; limit <= COUNT(session); limit++)
			assert_int_equal(peers_has_older(peers, &session[i], limit), i >= limit);
	for (size_t i = 0; i < COUNT(session); i++)
		peers_leave(peers, &session[i]);
}

static void clients_are_counted_apart(void **state)
{
	struct peers *peers = *state;
	const struct prefix one = prefix("192.0.2.1/32"), two = prefix("192.0.2.2/32"),
			    six = prefix("2001:db8::/64");
	struct peer a = {0}, b = {0}, c = {0}, a2 = {0};

	peers_join(peers, &a, &one);
	peers_join(peers, &b, &two);
	peers_join(peers, &c, &six);
	peers_join(peers, &a2, &one);
	assert_false(peers_has_older(peers, &b, 1));
	assert_false(peers_has_older(peers, &c, 1));
	assert_true(peers_has_older(peers, &a2, 1));
	peers_leave(peers, &a);
	peers_leave(peers, &b);
	peers_leave(peers, &c);
	peers_leave(peers, &a2);
}

static void closing_an_older_session_makes_room(void **state)
{
	struct peers *peers = *state;
	const struct prefix client = prefix("192.0.2.1/32");
	struct peer session[3] = {0}, late = {0};

	for (size_t i = 0; i < COUNT(session); i++)
		peers_join(peers, &session[i], &client);
	assert_true(peers_has_older(peers, &session[2], 2));
	/* From the middle, from the front; a later one counts as later. */
	peers_leave(peers, &session[1]);
	assert_false(peers_has_older(peers, &session[2], 2));
	assert_true(peers_has_older(peers, &session[2], 1));
	peers_join(peers, &late, &client);
	assert_true(peers_has_older(peers, &late, 2));
	peers_leave(peers, &session[0]);
	assert_false(peers_has_older(peers, &session[2], 1));
	assert_true(peers_has_older(peers, &late, 1));
	peers_leave(peers, &late);
	peers_leave(peers, &session[2]);
	/* The client's group has gone; it may come again. */
	peers_join(peers, &late, &client);
	assert_false(peers_has_older(peers, &late, 1));
	peers_leave(peers, &late);
}

static void session_that_is_not_listed_is_never_too_many(void **state)
{
	struct peers *peers = *state;
	struct peer session = {0};
	const struct prefix client = prefix("192.0.2.1/32");

	assert_false(peers_has_older(peers, &session, 0));
	peers_leave(peers, &session);
	peers_join(peers, &session, &client);
	peers_leave(peers, &session);
	assert_null(session.group);
	peers_leave(peers, &session);
	assert_false(peers_has_older(peers, &session, 1));
}

static void freeing_with_sessions_listed_leaks_nothing(void **state)
{
	struct peer a = {0}, b = {0};
	const struct prefix one = prefix("192.0.2.1/32"), two = prefix("192.0.2.2/32");
	struct peers *peers = peers_new();

	(void)state;
	assert_non_null(peers);
	peers_join(peers, &a, &one);
	peers_join(peers, &b, &two);
	peers_free(peers);
	peers_free(NULL);
}

static void *join_and_leave(void *argument)
{
	struct peers *peers = argument;
	const struct prefix client = {.family = 4, .bits = 32, .address = {192, 0, 2, 1}};

	for (int i = 0; i < 2000; i++) {
		struct peer a = {0}, b = {0};

		peers_join(peers, &a, &client);
		peers_join(peers, &b, &client);
		if (!peers_has_older(peers, &b, 1))
			return peers;
		peers_leave(peers, &a);
		peers_leave(peers, &b);
	}
	return NULL;
}

static void many_threads_join_and_leave(void **state)
{
	struct peers *peers = *state;
	pthread_t thread[4];
	const struct prefix client = prefix("192.0.2.1/32");
	struct peer last = {0};

	for (size_t i = 0; i < COUNT(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, join_and_leave, peers), 0);
	for (size_t i = 0; i < COUNT(thread); i++) {
		void *result;

		pthread_join(thread[i], &result);
		assert_null(result);
	}
	peers_join(peers, &last, &client);
	assert_false(peers_has_older(peers, &last, 1));
	peers_leave(peers, &last);
}

static void all_sessions_of_a_client_are_marked(void **state)
{
	struct peers *peers = *state;
	const struct prefix one = prefix("192.0.2.1/32"), two = prefix("192.0.2.2/32");
	struct peer a = {0}, b = {0}, other = {0};

	assert_int_equal(peers_mark(peers, &one), 0);
	peers_join(peers, &a, &one);
	peers_join(peers, &b, &one);
	peers_join(peers, &other, &two);
	assert_int_equal(peers_count(peers, &one), 2);
	assert_int_equal(peers_mark(peers, &one), 2);
	assert_true(a.is_marked);
	assert_true(b.is_marked);
	assert_false(other.is_marked);
	peers_leave(peers, &a);
	assert_int_equal(peers_count(peers, &one), 1);
	peers_leave(peers, &b);
	peers_leave(peers, &other);
	assert_int_equal(peers_count(peers, &one), 0);
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
