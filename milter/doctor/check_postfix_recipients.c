/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether Postfix rejects unknown recipients where the milter sees that, and there alone. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "checks.h"
#include "doctor/facts.h"
#include "doctor/report.h"
#include "judge/exempt.h"
#include "postfix_settings.h"

#define BETWEEN " \t,"
#define WORD_MAX 200

/* A switch that is wrong in one position. */
struct wrong_switch {
	const char *parameter, *wrong, *id, *text;
};

static const struct wrong_switch switches[] = {
	{"disable_vrfy_command", "no", "vrfy-on",
	 "Postfix answers VRFY: a harvester asks there, and no milter sees it"},
	{"smtpd_delay_reject", "no", "delay-reject",
	 "Postfix rejects before RCPT: the milter does not see those clients' recipients"},
	{"smtpd_reject_unlisted_recipient", "no", "unlisted-recipient",
	 "Postfix takes unknown recipients at RCPT: nothing is counted"},
	{"soft_bounce", "yes", "soft-bounce", "Postfix rejects with 4xx only, which never counts"},
};

/* A table of recipients that is empty while it should not be, and the code of its rejections. */
struct recipient_class {
	const char *domains, *maps, *id, *what, *code;
};

static const struct recipient_class classes[] = {
	{"mydestination", "local_recipient_maps", "local-unchecked", "local domains",
	 "unknown_local_recipient_reject_code"},
	{"relay_domains", "relay_recipient_maps", "relay-unchecked",
	 "domains that Postfix relays for (backup MX)", "unknown_relay_recipient_reject_code"},
	{"virtual_mailbox_domains", "virtual_mailbox_maps", "virtual-unchecked",
	 "virtual mailbox domains", "unknown_virtual_mailbox_reject_code"},
	{"virtual_alias_domains", NULL, NULL, NULL, "unknown_virtual_alias_reject_code"},
};
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

static void check_switches(const struct doctor_facts *facts, struct report *report)
{
	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		const struct wrong_switch *one = &switches[i];
		const struct postfix_service *service;

		for (size_t number = 0; (service = next_served(facts, &number)) != NULL;) {
			if (strcasecmp(postfix_service_setting(facts->postfix, service,
							       one->parameter),
				       one->wrong) != 0)
				continue;
			report_find(report, REPORT_WARNING, one->id, "%s", one->text);
			report_mend(report, "set %s = %s in main.cf", one->parameter,
				    strcmp(one->wrong, "no") == 0 ? "yes" : "no");
			break;
		}
	}
}

/* Whether recipients are asked for at the host that they are relayed to. */
static bool are_verified(const struct doctor_facts *facts)
{
	static const char *const lists[] = {"smtpd_recipient_restrictions",
					    "smtpd_relay_restrictions", "smtpd_sender_restrictions",
					    "smtpd_helo_restrictions", "smtpd_client_restrictions"};
	const struct postfix_service *service;
	size_t number = 0;

	service = next_served(facts, &number);
	for (size_t i = 0; service != NULL && i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strstr(postfix_service_setting(facts->postfix, service, lists[i]),
			   "reject_unverified_recipient") != NULL)
			return true;
	return false;
}

static void check_class(const struct doctor_facts *facts, struct report *report,
			const struct recipient_class *class, bool are_all_verified)
{
	const char *domains = postfix_setting(facts->postfix, class->domains);
	const char *code = postfix_setting(facts->postfix, class->code);

	/* Before compatibility level 2 all domains of mydestination are relayed for, too. */
	if (*domains == '\0' ||
	    (strcmp(class->domains, "relay_domains") == 0 &&
	     strcmp(domains, postfix_setting(facts->postfix, "mydestination")) == 0))
		return;
	if (class->maps != NULL && *postfix_setting(facts->postfix, class->maps) == '\0' &&
	    !are_all_verified) {
		report_find(report, REPORT_WARNING, class->id,
			    "%s is empty: every recipient in %s is taken, nothing is counted",
			    class->maps, class->what);
		report_mend(report, "set %s in main.cf, or reject_unverified_recipient",
			    class->maps);
	}
	if (*code == '4') {
		report_find(report, REPORT_WARNING, "reject-code-4xx",
			    "%s = %s: such rejections never count", class->code, code);
		report_mend(report, "set %s = 550 in main.cf", class->code);
	}
}

static void check_classes(const struct doctor_facts *facts, struct report *report)
{
	static const char unverified[] = "unverified_recipient_reject_code";
	bool are_all_verified = are_verified(facts);
	const char *code = postfix_setting(facts->postfix, unverified);

	for (size_t i = 0; i < CLASSES; i++)
		check_class(facts, report, &classes[i], are_all_verified);
	if (are_all_verified && *code == '4') {
		report_find(report, REPORT_WARNING, "reject-code-4xx",
			    "%s = %s: such rejections never count", unverified, code);
		report_mend(report, "set %s = 550 in main.cf", unverified);
	}
}

/* A + too many of ours does no harm; an extension that only Postfix knows earns credit apart. */
static void check_delimiter(const struct doctor_facts *facts, struct report *report)
{
	const char *theirs = postfix_setting(facts->postfix, "recipient_delimiter");
	const char *ours = facts->config->recipient_delimiter;
	size_t known = strspn(theirs, ours);
	bool is_same = theirs[known] == '\0';

	for (const char *p = ours; *p != '\0'; p++)
		is_same = is_same && (*p == '+' || strchr(theirs, *p) != NULL);
	if (is_same)
		return;
	report_find(report, REPORT_WARNING, "recipient-delimiter",
		    "recipient_delimiter is '%s' in main.cf and '%s' here", theirs, ours);
	report_mend(report, "set recipient_delimiter = \"%s\" in tarpit-milter.conf", theirs);
}

/* --- mynetworks ---------------------------------------------------------------------------- */

/* A network as Postfix writes it, with its address in brackets or not. */
static bool parse_network(const char *word, struct prefix *network)
{
	char plain[WORD_MAX];
	size_t length = 0;

	for (const char *p = word; *p != '\0' && length + 1 < sizeof(plain); p++)
		if (*p != '[' && *p != ']')
			plain[length++] = *p;
	plain[length] = '\0';
	return prefix_parse_cut(plain, network);
}

static void check_mynetworks(const struct doctor_facts *facts, struct report *report)
{
	const char *rest = postfix_setting(facts->postfix, "mynetworks");
	char word[WORD_MAX], first[WORD_MAX] = "", unread[WORD_MAX] = "";
	size_t missing = 0;

	while (*(rest += strspn(rest, BETWEEN)) != '\0') {
		size_t length = strcspn(rest, BETWEEN);
		struct prefix network;

		snprintf(word, sizeof(word), "%.*s", (int)length, rest);
		rest += length;
		if (word[0] == '!')
			continue;
		if (!parse_network(word, &network)) {
			snprintf(unread, sizeof(unread), "%s", word);
		} else if (!exempt_has_client(facts->config->exempt, &network, NULL)) {
			prefix_format(&network, missing++ == 0 ? first : word);
		}
	}
	if (unread[0] != '\0')
		report_not_checked(report,
				   "mynetworks: '%s' is a table or a name: see that exempt_clients "
				   "covers it",
				   unread);
	if (missing == 0)
		return;
	report_find(report, REPORT_WARNING, "mynetworks-not-exempt",
		    "%s of mynetworks is not exempt%s", first,
		    missing > 1 ? ", nor are others" : "");
	report_mend(report, "set exempt_clients += {\"%s\"} in tarpit-milter.conf", first);
}

void check_postfix_recipients(const struct doctor_facts *facts, struct report *report)
{
	check_switches(facts, report);
	check_classes(facts, report);
	check_delimiter(facts, report);
	check_mynetworks(facts, report);
}
