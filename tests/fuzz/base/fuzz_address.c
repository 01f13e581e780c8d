/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where to listen, memcached's servers, and the rules of who is exempt: one text a line, its kind
 * before it.
 */
#include <stdlib.h>
#include <string.h>

#include "judge/exempt.h"
#include "judge/recipients.h"
#include "fuzz.h"
#include "memcached/endpoint.h"
#include "base/listen.h"
#include "config/table.h"

#define ERROR_MAX 100

static void listen_at(const char *text)
{
	char error[ERROR_MAX] = "", host_port[64];

	if (!listen_check(text, error, sizeof(error)))
		CHECK(error[0] != '\0');
	else
		CHECK(strchr(text, ':') != NULL);
	config_check_host_port(text, error, sizeof(error));
	config_check_socket_path(text, error, sizeof(error));
	snprintf(host_port, sizeof(host_port), "%s:1", text);
	config_check_host_port(host_port, error, sizeof(error));
}

/* What the configuration takes, endpoint.c understands. */
static void name_server(struct config *config, const char *text)
{
	char error[ERROR_MAX];
	struct endpoint server;
	bool is_allowed = config_add_server(config, text, error, sizeof(error));
	bool is_server = endpoint_parse(text, &server);

	CHECK(!is_allowed || is_server);
	if (is_server)
		CHECK(server.host != NULL && (server.port > 0 || server.host[0] == '/'));
	endpoint_free(&server);
}

static void ask(const struct exempt *exempt, const struct recipients *recipients, const char *text)
{
	const char *rule = exempt_host_rule(exempt, text);
	struct prefix address, network;
	struct address recipient;

	CHECK(rule == NULL || strlen(rule) <= strlen(text));
	address_parse(text, &recipient);
	rule = recipients_rule(recipients, &recipient);
	CHECK(rule == NULL || (recipient.is_plain && strncmp(rule, recipient.text, strlen(rule)) == 0));
	if (prefix_parse(text, &address) && exempt_has_client(exempt, &address, &network)) {
		address = prefix_cut(&address, network.bits);
		CHECK(prefix_equal(&address, &network));
	}
}

/* A rule holds for what it names. */
static void add_rule(struct exempt *exempt, struct recipients *recipients, unsigned kind,
		     const char *text)
{
	char error[ERROR_MAX] = "";
	struct address recipient;
	bool is_rule;

	if (kind == 'c')
		is_rule = exempt_add_client(exempt, text, error, sizeof(error));
	else if (kind == 'h')
		is_rule = exempt_add_host(exempt, text, error, sizeof(error));
	else
		is_rule = recipients_add(recipients, text, error, sizeof(error));
	CHECK(is_rule || error[0] != '\0');
	exempt_seal(exempt);
	recipients_seal(recipients);
	if (is_rule && kind == 'h' && text[0] != '.')
		CHECK(exempt_host_rule(exempt, text) != NULL);
	address_parse(text, &recipient);
	if (is_rule && kind == 'r')
		CHECK(recipients_rule(recipients, &recipient) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct exempt *exempt = exempt_new();
	struct recipients *recipients = recipients_new();
	struct config *config = calloc(1, sizeof(*config));

	CHECK(exempt != NULL && recipients != NULL && config != NULL);
	config->references = 1;
	while (input.length > 0) {
		unsigned kind = take_byte(&input);
		char *text = take_text(&input, '\n');

		if (kind == 'l')
			listen_at(text);
		else if (kind == 's')
			name_server(config, text);
		else if (kind == 'c' || kind == 'h' || kind == 'r')
			add_rule(exempt, recipients, kind, text);
		ask(exempt, recipients, text);
		free(text);
	}
	exempt_free(exempt);
	recipients_free(recipients);
	config_release(config);
	return 0;
}
