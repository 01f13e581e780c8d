/* SPDX-License-Identifier: BSD-2-Clause */
/* Says what our own configuration needs to fit a Postfix: that file is the administrator's. */
#include <stdlib.h>
#include <string.h>

#include "base/prefix.h"
#include "judge/exempt.h"
#include "plan.h"
#include "say.h"

/* Postfix's [2001:db8::]/32 without its brackets, in place. */
static void strip_brackets(char *word)
{
	char *to = word;

	for (const char *p = word; *p != '\0'; p++)
		if (*p != '[' && *p != ']')
			*to++ = *p;
	*to = '\0';
}

/* Adds the network to list, unless it is exempt already. False: it is none. */
static bool add_network(const char *word, const struct config *config, char **list)
{
	char text[PREFIX_TEXT_MAX], *longer;
	struct prefix network;

	if (!prefix_parse_cut(word, &network))
		return false;
	if (exempt_has_client(config->exempt, &network, NULL))
		return true;
	longer = say_format("%s%s\"%s\"", *list, **list != '\0' ? ", " : "",
			    prefix_format(&network, text));
	free(*list);
	*list = longer;
	return true;
}

static void advise_exempt(const struct facts *facts, const struct config *config)
{
	char *words = say_format("%s", facts->mynetworks), *list = say_format("%s", ""), *rest;

	for (char *word = strtok_r(words, ", \t", &rest); word != NULL;
	     word = strtok_r(NULL, ", \t", &rest)) {
		char *plain = say_format("%s", word);

		strip_brackets(plain);
		if (!add_network(plain, config, &list))
			say("mynetworks has %s: see for yourself whether exempt_clients covers it",
			    word);
		free(plain);
	}
	if (*list != '\0') {
		say("Your own networks are not exempt. In tarpit-milter.conf, add");
		say("    exempt_clients += {%s}", list);
	}
	free(list);
	free(words);
}

void plan_advise(const struct facts *facts, const struct config *config)
{
	long timeout_s = plan_timeout_s(config, 30);

	advise_exempt(facts, config);
	if (config->mta_timeout_ms == 0 && timeout_s > 30) {
		say("Delays of more than 28 s need, in tarpit-milter.conf,");
		say("    mta_timeout = %lds", timeout_s);
	}
	if (facts->recipient_delimiter[0] != '\0' &&
	    strcmp(facts->recipient_delimiter, config->recipient_delimiter) != 0) {
		say("As main.cf has it, in tarpit-milter.conf:");
		say("    recipient_delimiter = \"%s\"", facts->recipient_delimiter);
	}
}
