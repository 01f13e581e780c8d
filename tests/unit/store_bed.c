/* SPDX-License-Identifier: BSD-2-Clause */
#include "store_bed.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/log.h"
#include "config/config.h"
#include "memcached/memcached_store.h"
#include "store/memory.h"

#define SASL_USER "tarpit@test"

char memcached_socket[128];
pid_t memcached;
static char directory[] = "/tmp/tarpit-test-store-XXXXXX";
static char password_path[128], sasl_server[32];

void sleep_ms(long ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

static void start_memcached(void)
{
	struct stat info;

	unlink(memcached_socket);
	memcached = fork();
	if (memcached == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("memcached", "memcached", "-u", "root", "-s", memcached_socket, "-m", "16",
		       (char *)NULL);
		_exit(127);
	}
	for (int ms = 0; ms < START_MS && stat(memcached_socket, &info) != 0; ms += STEP_MS)
		sleep_ms(STEP_MS);
}

/* A socket of the loopback interface, at a port of the kernel's choice where address has none. */
static int open_loopback(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return fd;
}

static uint16_t free_port(void)
{
	struct sockaddr_in address = {0};
	socklen_t size = sizeof(address);
	int fd = open_loopback(&address);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static bool answers(uint16_t port)
{
	struct sockaddr_in address = {.sin_port = htons(port)};
	int fd = open_loopback(&address);
	bool is_there = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	close(fd);
	return is_there;
}

/* Over TCP: libmemcached has no SASL over unix sockets. */
static void start_memcached_with_sasl(void)
{
	uint16_t port = free_port();
	char text[8];

	snprintf(text, sizeof(text), "%u", port);
	snprintf(sasl_server, sizeof(sasl_server), "127.0.0.1:%u", port);
	memcached = fork();
	if (memcached == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("memcached", "memcached", "-u", "root", "-l", "127.0.0.1", "-p", text, "-m",
		       "16", "-S", (char *)NULL);
		_exit(127);
	}
	for (int ms = 0; ms < START_MS && !answers(port); ms += STEP_MS)
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

void set_password(const char *text)
{
	write_file(password_path, text);
}

/* What memcached -S looks its users up in. False: this machine has no saslpasswd2. */
static bool make_sasl_users(void)
{
	char text[512], command[512];

	setenv("SASL_CONF_PATH", directory, 1);
	snprintf(text, sizeof(text), "%s/memcached.conf", directory);
	set_password("a secret of tests\n");
	snprintf(command, sizeof(command), "mech_list: plain\nsasldb_path: %s/users\n", directory);
	write_file(text, command);
	snprintf(command, sizeof(command),
		 "tr -d '\\n' < %s | saslpasswd2 -p -c -a memcached -f %s/users -u test tarpit",
		 password_path, directory);
	if (system("command -v saslpasswd2 >/dev/null") != 0)
		return false;
	assert_int_equal(system(command), 0);
	return true;
}

void suspend_memcached(void)
{
	kill(memcached, SIGSTOP);
	waitpid(memcached, NULL, WUNTRACED);
}

static void stop_memcached(void)
{
	kill(memcached, SIGKILL);
	waitpid(memcached, NULL, 0);
}

/* What a store reads of a configuration. */
static struct config *make_config(enum kind kind)
{
	static char prefix[] = "test", user[] = SASL_USER;
	static char *servers[1];
	static struct config config;

	servers[0] = kind == IN_MEMCACHED_WITH_SASL ? sasl_server : memcached_socket;
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

void await_up(struct store *store)
{
	for (int ms = 0; ms < START_MS && strcmp(store_state(store), "up") != 0; ms += STEP_MS)
		sleep_ms(STEP_MS);
	assert_string_equal(store_state(store), "up");
}

struct store *open_test_store(enum kind kind)
{
	char error[128] = "";
	const struct config *config = make_config(kind);
	struct store *store = config->use_memcached
				      ? memcached_store_new(config, TARPIT_STORE, NULL, error,
							    sizeof(error))
				      : memory_store_new(config->memory_clients);

	if (store == NULL)
		fail_msg("store: %s", error);
	return store;
}

int setup_memory(void **state)
{
	*state = open_test_store(IN_MEMORY);
	return 0;
}

int setup_memcached(void **state)
{
	start_memcached();
	*state = open_test_store(IN_MEMCACHED);
	await_up(*state);
	return 0;
}

int setup_sasl(void **state)
{
	struct store *store;

	*state = NULL;
	if (!make_sasl_users())
		return 0;
	start_memcached_with_sasl();
	*state = store = open_test_store(IN_MEMCACHED_WITH_SASL);
	await_up(store);
	return 0;
}

int teardown_memory(void **state)
{
	struct store *store = *state;

	store_destroy(store);
	return 0;
}

int teardown_memcached(void **state)
{
	teardown_memory(state);
	stop_memcached();
	return 0;
}

int teardown_sasl(void **state)
{
	char command[256];

	if (*state != NULL)
		teardown_memcached(state);
	snprintf(command, sizeof(command), "rm -f %s/users %s/memcached.conf %s", directory,
		 directory, password_path);
	return system(command) == 0 ? 0 : -1;
}

struct store_query make_query(const char *address, int64_t window)
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

bool offend(struct store *store, const char *address, int64_t window, uint64_t recipient,
	    struct store_view *view)
{
	struct store_query query = make_query(address, window);
	struct store_event event = {
		.side = SIDE_BAD, .amount = 100, .distinct = true, .recipient = recipient};

	return store_record(store, &query, &event, view);
}

struct store_view look_up(struct store *store, const char *address, int64_t window)
{
	struct store_query query = make_query(address, window);
	struct store_view view;

	store_lookup(store, &query, &view);
	return view;
}

static void ignore_line(int priority, const char *line)
{
	(void)priority;
	(void)line;
}

bool open_bed(void)
{
	if (hash_init() != 0 || mkdtemp(directory) == NULL)
		return false;
	snprintf(memcached_socket, sizeof(memcached_socket), "%s/socket", directory);
	snprintf(password_path, sizeof(password_path), "%s/password", directory);
	log_to(ignore_line);
	return true;
}

void close_bed(void)
{
	unlink(memcached_socket);
	rmdir(directory);
}
