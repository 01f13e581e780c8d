/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes the flagged clients in each format. An empty list empties what reads it, too. */
#include "export_format.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define STAMP_MAX 40
/* As in packaging/nftables/tarpit-milter.nft. */
#define NFT_TABLE "inet tarpit_milter"
/* ipset takes no set for the same one if these differ, so they are as large as they may ever be. */
#define IPSET_OPTIONS "hash:net family %s maxelem 10000000 timeout 60"
#define IPSET_TIMEOUT_MAX INT64_C(2147483)

static const struct family {
	uint8_t family;
	const char *nft_type, *ipset_family;
} families[] = {{4, "ipv4_addr", "inet"}, {6, "ipv6_addr", "inet6"}};
#define FAMILIES (sizeof(families) / sizeof(families[0]))

/* One line for each client of the family (0: of both): its prefix, and what is behind it. */
static void write_lines(const struct export_list *list, uint8_t family, const char *behind,
			FILE *out)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < list->count; i++) {
		const struct prefix *prefix = &list->clients[i].prefix;

		if (family == 0 || prefix->family == family)
			fprintf(out, "%s%s\n", prefix_format(prefix, text), behind);
	}
}

static void write_cidr(const struct export_list *list, FILE *out)
{
	write_lines(list, 0, "", out);
}

static bool has_family(const struct export_list *list, uint8_t family)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->clients[i].prefix.family == family)
			return true;
	return false;
}

static void write_nft_elements(const struct export_list *list, uint8_t family, FILE *out)
{
	char text[PREFIX_TEXT_MAX];

	if (!has_family(list, family))
		return;
	fprintf(out, "add element " NFT_TABLE " flagged%u {\n", family);
	for (size_t i = 0; i < list->count; i++) {
		const struct export_client *client = &list->clients[i];

		if (client->prefix.family == family)
			fprintf(out, "\t%s timeout %" PRId64 "s,\n",
				prefix_format(&client->prefix, text), client->remains_s);
	}
	fputs("}\n", out);
}

/* nft -f takes all of it or nothing. */
static void write_nft(const struct export_list *list, FILE *out)
{
	fputs("add table " NFT_TABLE "\n", out);
	for (size_t i = 0; i < FAMILIES; i++) {
		const struct family *family = &families[i];

		fprintf(out,
			"add set " NFT_TABLE " flagged%u { type %s; flags interval, timeout; }\n"
			"flush set " NFT_TABLE " flagged%u\n",
			family->family, family->nft_type, family->family);
		write_nft_elements(list, family->family, out);
	}
}

static void write_ipset_elements(const struct export_list *list, uint8_t family, FILE *out)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < list->count; i++) {
		const struct export_client *client = &list->clients[i];
		int64_t timeout_s = client->remains_s < IPSET_TIMEOUT_MAX ? client->remains_s
									  : IPSET_TIMEOUT_MAX;

		if (client->prefix.family == family)
			fprintf(out, "add tarpit_milter%u_new %s timeout %" PRId64 "\n", family,
				prefix_format(&client->prefix, text), timeout_s);
	}
}

/* ipset does line after line, so the new elements are there before they are swapped in. */
static void write_ipset(const struct export_list *list, FILE *out)
{
	for (size_t i = 0; i < FAMILIES; i++) {
		unsigned number = families[i].family;

		fprintf(out,
			"create -exist tarpit_milter%u " IPSET_OPTIONS "\n"
			"create -exist tarpit_milter%u_new " IPSET_OPTIONS "\n"
			"flush tarpit_milter%u_new\n",
			number, families[i].ipset_family, number, families[i].ipset_family, number);
		write_ipset_elements(list, families[i].family, out);
		fprintf(out,
			"swap tarpit_milter%u_new tarpit_milter%u\n"
			"destroy tarpit_milter%u_new\n",
			number, number, number);
	}
}

/* A file of rbldnsd's type combined. */
static void write_rbldnsd(const struct export_list *list, FILE *out)
{
	time_t expires = (time_t)list->expires_s;
	char stamp[STAMP_MAX];
	struct tm utc;

	fputs("$TTL 60\n", out);
	if (expires > 0 && gmtime_r(&expires, &utc) != NULL &&
	    strftime(stamp, sizeof(stamp), "%Y:%m:%d:%H:%M:%S", &utc) > 0)
		fprintf(out, "$TIMESTAMP - %s\n", stamp);
	for (size_t i = 0; i < FAMILIES; i++) {
		fprintf(out,
			"$DATASET ip%utrie:flagged%u @\n"
			":127.0.0.2:flagged by tarpit-milter\n",
			families[i].family, families[i].family);
		write_lines(list, families[i].family, "", out);
	}
}

static void write_postscreen(const struct export_list *list, FILE *out)
{
	write_lines(list, 0, " reject", out);
}

static void write_json(const struct export_list *list, FILE *out)
{
	char text[PREFIX_TEXT_MAX];

	fprintf(out, "{\"ok\": true, \"mode\": \"%s\", \"clients\": [",
		list->observe ? "observe" : "enforce");
	for (size_t i = 0; i < list->count; i++) {
		const struct export_client *client = &list->clients[i];

		fprintf(out,
			"%s{\"client\": \"%s\", \"remains_s\": %" PRId64
			", \"by_hand\": %s, \"score\": %.2f}",
			i > 0 ? ", " : "", prefix_format(&client->prefix, text), client->remains_s,
			client->by_hand ? "true" : "false", client->score);
	}
	fputs("]}\n", out);
}

export_writer *export_writer_find(const char *name)
{
	static const struct {
		const char *name;
		export_writer *write;
	} writers[] = {
		{"cidr", write_cidr},
		{"nft", write_nft},
		{"ipset", write_ipset},
		{"rbldnsd", write_rbldnsd},
		{"postscreen", write_postscreen},
		{"json", write_json},
	};

	for (size_t i = 0; i < sizeof(writers) / sizeof(writers[0]); i++)
		if (strcmp(writers[i].name, name) == 0)
			return writers[i].write;
	return NULL;
}
