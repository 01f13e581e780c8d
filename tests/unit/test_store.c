/* SPDX-License-Identifier: BSD-2-Clause */
/* One suite over all stores: the memory store, a real memcached started for the occasion, and one with SASL. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "hash.h"
#include "log.h"
#include "settings.h"
#include "store.h"

#define THREADS 16
#define OFFENCES 10000
#define START_MS 5000
#define STEP_MS 10

static char directory[] = "/tmp/tarpit-test-store-XXXXXX";
static char socket_path[128];
static char password_path[128];
static pid_t memcached;

#define SASL_USER "tarpit@test"

static void sleep_ms(long ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

static void start_memcached(bool has_sasl)
{
	struct stat info;

	unlink(socket_path);
	memcached = fork();
	if (memcached == 0) {
		execlp("memcached", "memcached", "-u", "root", "-s", socket_path, "-m", "16",
		       has_sasl ? "-S" : (char *)NULL, (char *)NULL);
		_exit(127);
	}
	for (int ms = 0; ms < START_MS && stat(socket_path, &info) != 0; ms += STEP_MS)
		sleep_ms(STEP_MS);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
}

/* What memcached -S looks its users up in. False: this machine has no saslpasswd2. */
static bool make_sasl_users(void)
{
	char text[512], command[512];

	setenv("SASL_CONF_PATH", directory, 1);
	snprintf(text, sizeof(text), "%s/memcached.conf", directory);
	write_file(password_path, "a secret of tests\n");
	snprintf(command, sizeof(command), "mech_list: plain\nsasldb_path: %s/users\n", directory);
	write_file(text, command);
	snprintf(command, sizeof(command),
		 "tr -d '\\n' < %s | saslpasswd2 -p -c -a memcached -f %s/users -u test tarpit",
		 password_path, directory);
	return system(command) == 0;
}

static void stop_memcached(void)
{
	kill(memcached, SIGKILL);
	waitpid(memcached, NULL, 0);
}

enum kind { IN_MEMORY, IN_MEMCACHED, IN_MEMCACHED_WITH_SASL };

/* What a store reads of a configuration. */
static struct config *make_config(enum kind kind)
{
	static char prefix[] = "test", user[] = SASL_USER;
	static char *servers[] = {socket_path};
	static struct config config;

	config = (struct config){
		.use_memcached = kind != IN_MEMORY,
		.memcached_user = kind == IN_MEMCACHED_WITH_SASL ? user : NULL,
		.memcached_password_file = password_path,
		.memcached_servers = {servers, 1},
		.memcached_timeout_ms = 1500,
		.memcached_retry_ms = 200,
		.key_prefix = prefix,
		.memory_clients = 1000,
		.window_s = 3600,
	};
	return &config;
}

static struct store *open_test_store(enum kind kind)
{
	char error[128] = "";
	struct store *store = store_open(make_config(kind), NULL, error, sizeof(error));

	if (store == NULL)
		fail_msg("store: %s", error);
	return store;
}

static int setup_memory(void **state)
{
	*state = open_test_store(IN_MEMORY);
	return 0;
}

static int setup_memcached(void **state)
{
	start_memcached(false);
	*state = open_test_store(IN_MEMCACHED);
	return 0;
}

static int setup_sasl(void **state)
{
	struct store *store;

	*state = NULL;
	if (!make_sasl_users())
		return 0;
	start_memcached(true);
	*state = store = open_test_store(IN_MEMCACHED_WITH_SASL);
	assert_string_equal(store->ops->state(store), "up");
	return 0;
}

static int teardown_memory(void **state)
{
	struct store *store = *state;

	store->ops->destroy(store);
	return 0;
}

static int teardown_memcached(void **state)
{
	teardown_memory(state);
	stop_memcached();
	return 0;
}

static int teardown_sasl(void **state)
{
	char command[256];

	if (*state != NULL)
		teardown_memcached(state);
	snprintf(command, sizeof(command), "rm -f %s/users %s/memcached.conf %s", directory,
		 directory, password_path);
	return system(command) == 0 ? 0 : -1;
}

static struct store_query make_query(const char *address, int64_t window)
{
	static const struct client_widths widths = {
		.ipv4_prefix = 32,
		.ipv4_network = 24,
		.ipv6_prefix = 64,
		.ipv6_network = 48,
	};
	struct store_query query = {.window = {.index = window, .length_s = 3600},
				    .key_prefix = "test"};
	struct prefix prefix;

	assert_true(prefix_parse(address, &prefix));
	client_identify(&prefix, &widths, &query.client);
	return query;
}

static bool offend(struct store *store, const char *address, int64_t window, uint64_t recipient,
		   struct store_view *view)
{
	struct store_query query = make_query(address, window);
	struct store_event event = {
		.side = SIDE_BAD, .amount = 100, .distinct = true, .recipient = recipient};

	return store->ops->record(store, &query, &event, view);
}

static struct store_view look_up(struct store *store, const char *address, int64_t window)
{
	struct store_query query = make_query(address, window);
	struct store_view view;

	store->ops->lookup(store, &query, &view);
	return view;
}

static void unknown_client_has_nothing(void **state)
{
	struct store_view view = look_up(*state, "192.0.2.1", 1000);

	assert_true(tally_is_zero(&view.client));
	assert_true(tally_is_zero(&view.network));
	assert_false(view.by_hand);
	assert_false(view.announced);
}

static void record_brings_the_fresh_count(void **state)
{
	struct store_view view;

	assert_true(offend(*state, "192.0.2.1", 1000, 1, &view));
	assert_int_equal(view.client.bad_now, 100);
	assert_int_equal(view.network.bad_now, 100);
	assert_true(offend(*state, "192.0.2.1", 1000, 2, &view));
	assert_int_equal(view.client.bad_now, 200);
	assert_int_equal(view.window, 1000);
}

static void recipient_counts_once_a_window_and_client(void **state)
{
	struct store_view view;

	assert_true(offend(*state, "192.0.2.1", 1000, 7, &view));
	assert_false(offend(*state, "192.0.2.1", 1000, 7, &view));
	assert_int_equal(view.client.bad_now, 100);
	assert_true(offend(*state, "192.0.2.2", 1000, 7, &view));
	assert_true(offend(*state, "192.0.2.1", 1001, 7, &view));
	assert_int_equal(view.client.bad_now, 100);
	assert_int_equal(view.client.bad_previous, 100);
}

static void neighbours_share_the_network_only(void **state)
{
	struct store_view view;

	offend(*state, "192.0.2.1", 1000, 1, &view);
	offend(*state, "192.0.2.2", 1000, 1, &view);
	view = look_up(*state, "192.0.2.3", 1000);
	assert_true(tally_is_zero(&view.client));
	assert_int_equal(view.network.bad_now, 200);
	view = look_up(*state, "192.0.3.1", 1000);
	assert_true(tally_is_zero(&view.network));
}

static void good_and_bad_are_kept_apart(void **state)
{
	struct store_query query = make_query("2001:db8::1", 1000);
	struct store_event good = {.side = SIDE_GOOD, .amount = 100};
	struct store_view view;
	struct store *store = *state;

	offend(store, "2001:db8::2", 1000, 1, &view);
	assert_true(store->ops->record(store, &query, &good, &view));
	assert_true(store->ops->record(store, &query, &good, &view));
	assert_int_equal(view.client.bad_now, 100);
	assert_int_equal(view.client.good_now, 200);
	assert_int_equal(view.network.good_now, 200);
}

static void windows_pass(void **state)
{
	struct store_view view;

	offend(*state, "192.0.2.1", 1000, 1, &view);
	view = look_up(*state, "192.0.2.1", 1001);
	assert_int_equal(view.client.bad_now, 0);
	assert_int_equal(view.client.bad_previous, 100);
	view = look_up(*state, "192.0.2.1", 1002);
	assert_true(tally_is_zero(&view.client));
}

static void announcement_is_news_once(void **state)
{
	struct store_query query = make_query("192.0.2.1", 1000);
	struct store *store = *state;
	struct store_view view;

	offend(store, "192.0.2.1", 1000, 1, &view);
	assert_false(view.announced);
	assert_true(store->ops->announce(store, &query.client.key, true));
	assert_false(store->ops->announce(store, &query.client.key, true));
	assert_true(look_up(store, "192.0.2.1", 1000).announced);
	assert_true(store->ops->announce(store, &query.client.key, false));
	assert_false(look_up(store, "192.0.2.1", 1000).announced);
}

/* Windows of this century: an end of a flag by hand is a moment. */
#define WINDOW_NOW 490000
#define NOW_S (INT64_C(3600) * WINDOW_NOW)

static void count_good(struct store *store, const char *address, int64_t window)
{
	struct store_query query = make_query(address, window);
	struct store_event good = {.side = SIDE_GOOD, .amount = 100};
	struct store_view view;

	store->ops->record(store, &query, &good, &view);
}

static void forgiven_client_leaves_nothing_but_its_neighbours(void **state)
{
	struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	struct store *store = *state;
	struct store_view view;

	offend(store, "192.0.2.1", WINDOW_NOW - 1, 1, &view);
	offend(store, "192.0.2.1", WINDOW_NOW, 2, &view);
	offend(store, "192.0.2.1", WINDOW_NOW, 3, &view);
	count_good(store, "192.0.2.1", WINDOW_NOW);
	offend(store, "192.0.2.2", WINDOW_NOW, 4, &view);
	assert_true(store->ops->flag(store, &query, NOW_S + 600));
	store->ops->announce(store, &query.client.key, true);

	assert_true(store->ops->forgive(store, &query));
	view = look_up(store, "192.0.2.1", WINDOW_NOW);
	assert_true(tally_is_zero(&view.client));
	assert_false(view.by_hand);
	assert_false(view.announced);
	assert_int_equal(view.network.bad_now, 100);
	assert_int_equal(view.network.bad_previous, 0);
	assert_int_equal(view.network.good_now, 0);
	view = look_up(store, "192.0.2.2", WINDOW_NOW);
	assert_int_equal(view.client.bad_now, 100);
	/* It may offend anew. */
	assert_true(offend(store, "192.0.2.1", WINDOW_NOW, 5, &view));
	assert_int_equal(view.client.bad_now, 100);
}

static void unknown_client_can_be_forgiven(void **state)
{
	struct store_query query = make_query("2001:db8::1", WINDOW_NOW);
	struct store *store = *state;
	struct store_view view;

	assert_true(store->ops->forgive(store, &query));
	view = look_up(store, "2001:db8::1", WINDOW_NOW);
	assert_true(tally_is_zero(&view.client));
}

static void flag_by_hand_lasts_until_its_end(void **state)
{
	struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	struct store *store = *state;
	struct store_view view;

	assert_true(store->ops->flag(store, &query, NOW_S + 4000));
	view = look_up(store, "192.0.2.1", WINDOW_NOW);
	assert_true(view.by_hand);
	assert_int_equal(view.by_hand_until_s, NOW_S + 4000);
	assert_false(look_up(store, "192.0.2.2", WINDOW_NOW).by_hand);
	assert_true(look_up(store, "192.0.2.1", WINDOW_NOW + 1).by_hand);
	assert_false(look_up(store, "192.0.2.1", WINDOW_NOW + 2).by_hand);
}

#define MANY 200

static void note_visit(const struct client *client, const struct store_view *view, void *arg)
{
	unsigned *visits = arg;

	assert_int_equal(client->key.bits, 32);
	assert_int_equal(client->network.bits, 24);
	assert_int_equal(view->client.bad_now, 100);
	assert_int_equal(view->network.bad_now, MANY * 100);
	visits[client->key.address[3]]++;
}

static void each_client_is_shown_once(void **state)
{
	const struct client_widths widths = {32, 24, 64, 48};
	struct store_query query = make_query("192.0.2.1", 1000);
	struct store *store = *state;
	unsigned visits[256] = {0};
	struct store_view view;
	char address[20];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(address, sizeof(address), "192.0.2.%u", i);
		offend(store, address, 1000, 1, &view);
	}
	/* What another daemon has done since is known once it is looked up. */
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(address, sizeof(address), "192.0.2.%u", i);
		look_up(store, address, 1000);
	}
	store->ops->each(store, &widths, &query.window, note_visit, visits);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(visits[i], i < MANY);
}

struct flood {
	struct store *store;
	unsigned number;
};

/* Waits until a count is there: one that came too late for its caller is noted a moment after. */
static void await_count(struct store *store, uint64_t bad)
{
	for (int ms = 0; ms < START_MS; ms += STEP_MS) {
		if (look_up(store, "192.0.2.1", 1000).client.bad_now == bad)
			return;
		sleep_ms(STEP_MS);
	}
	assert_int_equal(look_up(store, "192.0.2.1", 1000).client.bad_now, bad);
}

static void *flood(void *argument)
{
	struct flood *own = argument;
	struct store_view view;

	for (unsigned i = 0; i < OFFENCES / THREADS; i++)
		offend(own->store, "192.0.2.1", 1000, (uint64_t)own->number << 32 | i, &view);
	return NULL;
}

static void sixteen_threads_lose_no_count(void **state)
{
	pthread_t threads[THREADS];
	struct flood floods[THREADS];
	struct store_view view;

	for (unsigned i = 0; i < THREADS; i++) {
		floods[i] = (struct flood){.store = *state, .number = i};
		assert_int_equal(pthread_create(&threads[i], NULL, flood, &floods[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	view = look_up(*state, "192.0.2.1", 1000);
	assert_int_equal(view.client.bad_now, OFFENCES * 100);
	assert_int_equal(view.network.bad_now, OFFENCES * 100);
}

/* --- memcached alone ---------------------------------------------------------------------------- */

static void another_daemon_sees_the_same(void **state)
{
	struct store *other = open_test_store(IN_MEMCACHED);
	struct store_view view;

	assert_true(offend(*state, "192.0.2.1", 1000, 1, &view));
	assert_false(offend(other, "192.0.2.1", 1000, 1, &view));
	assert_true(offend(other, "192.0.2.1", 1000, 2, &view));
	assert_int_equal(view.client.bad_now, 200);
	assert_int_equal(look_up(*state, "192.0.2.1", 1000).client.bad_now, 200);
	other->ops->destroy(other);
}

static void outage_is_bridged_and_paid_for_once(void **state)
{
	struct store *store = *state, *other;
	struct store_view view;

	offend(store, "192.0.2.1", 1000, 1, &view);
	kill(memcached, SIGSTOP);
	for (uint64_t i = 2; i <= 9; i++)
		offend(store, "192.0.2.1", 1000, i, &view);
	await_count(store, 900);
	assert_string_equal(store->ops->state(store), "down");
	kill(memcached, SIGCONT);
	for (int ms = 0; ms < START_MS && strcmp(store->ops->state(store), "up") != 0; ms += STEP_MS)
		sleep_ms(STEP_MS);
	assert_string_equal(store->ops->state(store), "up");

	other = open_test_store(IN_MEMCACHED);
	view = look_up(other, "192.0.2.1", 1000);
	assert_int_equal(view.client.bad_now, 900);
	assert_int_equal(view.network.bad_now, 900);
	other->ops->destroy(other);
	sleep_ms(500);	/* two rounds of the keeper: nothing is paid twice */
	assert_int_equal(look_up(store, "192.0.2.1", 1000).client.bad_now, 900);
}

static void count_server(const char *server, bool is_up, void *arg)
{
	int *up = arg;

	assert_string_equal(server, socket_path);
	*up = is_up;
}

static void other_daemon_follows_what_an_administrator_does(void **state)
{
	struct store *store = *state, *other = open_test_store(IN_MEMCACHED);
	struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	struct store_view view;

	assert_true(store->ops->flag(store, &query, NOW_S + 600));
	assert_true(look_up(other, "192.0.2.1", WINDOW_NOW).by_hand);
	offend(other, "192.0.2.1", WINDOW_NOW, 1, &view);
	assert_true(store->ops->forgive(store, &query));
	view = look_up(other, "192.0.2.1", WINDOW_NOW);
	assert_false(view.by_hand);
	assert_true(tally_is_zero(&view.client));
	other->ops->destroy(other);
}

static void administrator_is_told_that_the_server_is_away(void **state)
{
	struct store_query query = make_query("192.0.2.1", WINDOW_NOW);
	struct store *store = *state;
	struct store_view view;
	int is_up = -1;

	offend(store, "192.0.2.1", WINDOW_NOW, 1, &view);
	kill(memcached, SIGSTOP);
	assert_false(store->ops->forgive(store, &query));
	view = look_up(store, "192.0.2.1", WINDOW_NOW);
	assert_true(tally_is_zero(&view.client));
	assert_false(store->ops->flag(store, &query, NOW_S + 600));
	assert_true(look_up(store, "192.0.2.1", WINDOW_NOW).by_hand);
	store->ops->servers(store, count_server, &is_up);
	assert_int_equal(is_up, 0);
	kill(memcached, SIGCONT);
}

static void server_that_was_never_there_leaves_the_memory_store(void **state)
{
	struct store *store;
	struct store_view view;

	(void)state;
	unlink(socket_path);
	store = open_test_store(IN_MEMCACHED);
	assert_string_equal(store->ops->state(store), "down");
	assert_true(offend(store, "192.0.2.1", 1000, 1, &view));
	assert_int_equal(view.client.bad_now, 100);
	store->ops->destroy(store);
}

static void wrong_password_leaves_the_memory_store(void **state)
{
	struct store *store = *state;
	struct store_view view;

	offend(store, "192.0.2.1", 1000, 1, &view);
	write_file(password_path, "another\n");
	store->ops->destroy(store);
	*state = store = open_test_store(IN_MEMCACHED_WITH_SASL);
	assert_string_equal(store->ops->state(store), "down");
	assert_true(offend(store, "192.0.2.1", 1000, 2, &view));
	assert_int_equal(view.client.bad_now, 100);
}

static void ignore_line(int priority, const char *line)
{
	(void)priority;
	(void)line;
}

/* Runs a test unless the machine lacks what it needs. */
#define WITH_SASL(test)                                                                            \
	static void test##_with_sasl(void **state)                                                 \
	{                                                                                          \
		if (*state == NULL)                                                                \
			skip();                                                                    \
		test(state);                                                                       \
	}

#define ALL(test)                                                                                  \
	{#test " (memory)", test, setup_memory, teardown_memory, NULL},                            \
		{#test " (memcached)", test, setup_memcached, teardown_memcached, NULL},           \
	{                                                                                          \
		#test " (SASL)", test##_with_sasl, setup_sasl, teardown_sasl, NULL                 \
	}

WITH_SASL(unknown_client_has_nothing)
WITH_SASL(record_brings_the_fresh_count)
WITH_SASL(recipient_counts_once_a_window_and_client)
WITH_SASL(neighbours_share_the_network_only)
WITH_SASL(good_and_bad_are_kept_apart)
WITH_SASL(windows_pass)
WITH_SASL(announcement_is_news_once)
WITH_SASL(forgiven_client_leaves_nothing_but_its_neighbours)
WITH_SASL(unknown_client_can_be_forgiven)
WITH_SASL(flag_by_hand_lasts_until_its_end)
WITH_SASL(each_client_is_shown_once)
WITH_SASL(sixteen_threads_lose_no_count)
WITH_SASL(wrong_password_leaves_the_memory_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALL(unknown_client_has_nothing),
		ALL(record_brings_the_fresh_count),
		ALL(recipient_counts_once_a_window_and_client),
		ALL(neighbours_share_the_network_only),
		ALL(good_and_bad_are_kept_apart),
		ALL(windows_pass),
		ALL(announcement_is_news_once),
		ALL(forgiven_client_leaves_nothing_but_its_neighbours),
		ALL(unknown_client_can_be_forgiven),
		ALL(flag_by_hand_lasts_until_its_end),
		ALL(each_client_is_shown_once),
		ALL(sixteen_threads_lose_no_count),
		cmocka_unit_test_setup_teardown(another_daemon_sees_the_same, setup_memcached,
						teardown_memcached),
		cmocka_unit_test_setup_teardown(outage_is_bridged_and_paid_for_once,
						setup_memcached, teardown_memcached),
		cmocka_unit_test_setup_teardown(other_daemon_follows_what_an_administrator_does,
						setup_memcached, teardown_memcached),
		cmocka_unit_test_setup_teardown(administrator_is_told_that_the_server_is_away,
						setup_memcached, teardown_memcached),
		cmocka_unit_test_setup_teardown(wrong_password_leaves_the_memory_store_with_sasl,
						setup_sasl, teardown_sasl),
		cmocka_unit_test(server_that_was_never_there_leaves_the_memory_store),
	};
	int failed;

	if (hash_init() != 0 || mkdtemp(directory) == NULL)
		return 1;
	snprintf(socket_path, sizeof(socket_path), "%s/socket", directory);
	snprintf(password_path, sizeof(password_path), "%s/password", directory);
	log_to(ignore_line);
	failed = cmocka_run_group_tests_name("store", tests, NULL, NULL);
	unlink(socket_path);
	rmdir(directory);
	return failed;
}
