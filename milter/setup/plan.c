/* SPDX-License-Identifier: BSD-2-Clause */
/* Decides what is to be changed in a Postfix. */
#include "plan.h"

#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "milters.h"
#include "say.h"

#define ERROR_MAX 512
/* Postfix's own milter_command_timeout, which mta_timeout = auto takes for granted. */
#define POSTFIX_TIMEOUT_S 30
/* How long before the MTA's timeout a delay ends. */
#define MARGIN_S 2
#define GROUP_MAY 0060
#define OTHERS_MAY 0006
#define MILTERS "smtpd_milters"

/* Whether a delay of delay_max fits is no question where mta_timeout cuts it. */
long plan_timeout_s(const struct config *config, long least_s)
{
	int64_t ms = config->mta_timeout_ms > 0 ? config->mta_timeout_ms
						: config->policy.delay_max_ms + MARGIN_S * 1000;
	long needed_s = (long)((ms + 999) / 1000);

	return needed_s > least_s ? needed_s : least_s;
}

/* The lines for who changes the files without setup. Always false. */
static bool leave_to_hand(const struct plan *plan, const struct facts *facts)
{
	const char *entry = plan->entry != NULL ? plan->entry : "(this milter)";

	say("Nothing was changed. By hand, in %s/main.cf:", facts->directory);
	say("    " MILTERS " = (the milters that are there), %s", entry);
	say("    smtpd_error_sleep_time = 0");
	say("    smtpd_hard_error_limit = ${stress?{1}:{10}}");
	say("    disable_vrfy_command = yes");
	say("in master.cf, for each service that only your own users call (submission, smtps):");
	say("    -o " MILTERS "=(the milters that are there, if any)");
	return false;
}

/* --- who may connect to the socket --------------------------------------------------------- */

struct owner {
	const char *user;
	char *group;
	uid_t uid;
	gid_t gid;
};

/* Whom the socket belongs to. False, with what is missing said. */
static bool find_owner(const struct config *config, struct owner *owner)
{
	const struct passwd *user = getpwnam(config->user);
	const struct group *group;

	if (user == NULL)
		return say_refusal("there is no user %s: make it first", config->user);
	*owner = (struct owner){.user = config->user, .uid = user->pw_uid, .gid = user->pw_gid};
	group = config->socket_group[0] != '\0' ? getgrnam(config->socket_group)
						: getgrgid(owner->gid);
	if (group == NULL)
		return say_refusal("there is no group for the socket: make it first");
	owner->gid = group->gr_gid;
	owner->group = say_format("%s", group->gr_name);
	return true;
}

static bool plan_member(struct plan *plan, const struct config *config, const struct facts *facts,
			const struct owner *owner)
{
	const struct passwd *mta = getpwnam(facts->mail_owner);
	struct change member = {.kind = CHANGE_MEMBER, .name = facts->mail_owner};
	struct postconf unused;
	char *is_member;

	if (mta == NULL)
		return say_refusal("there is no user %s, whom Postfix runs as", facts->mail_owner);
	if (mta->pw_uid == owner->uid || (config->socket_mode & OTHERS_MAY) == OTHERS_MAY)
		return true;
	if ((config->socket_mode & GROUP_MAY) != GROUP_MAY)
		return say_refusal("socket_mode = %04o lets only %s connect, not %s",
				   config->socket_mode, owner->user, facts->mail_owner);
	if (owner->gid == 0)
		return say_refusal("the socket's group would be %s, which %s must not be in: set "
				   "user or socket_group",
				   owner->group, facts->mail_owner);
	member.after = owner->group;
	change_look(&member, &unused, &is_member);
	if (mta->pw_gid != owner->gid && is_member == NULL)
		changes_add(&plan->changes, CHANGE_MEMBER, facts->mail_owner, NULL, owner->group,
			    "Postfix's user may connect to the milter's socket");
	free(is_member);
	return true;
}

/* The folder below Postfix's queue, which the daemon could not make itself. */
static void plan_folder(struct plan *plan, const char *path, const struct facts *facts,
			const struct owner *owner)
{
	char *copy = say_format("%s", path), *folder = dirname(copy), *owners;
	struct stat status;

	if (milters_below(folder, facts->queue_directory) != NULL && lstat(folder, &status) != 0) {
		owners = say_format("%s:%s", owner->user, owner->group);
		changes_add(&plan->changes, CHANGE_FOLDER, folder, NULL, owners,
			    "The folder of the milter's socket, where Postfix sees it");
		free(owners);
	}
	free(copy);
}

static bool plan_access(struct plan *plan, const struct config *config, const struct facts *facts)
{
	const char *path = milters_path(config->socket);
	struct owner owner = {0};
	bool is_planned;

	if (path == NULL)
		return true;
	is_planned = find_owner(config, &owner);
	if (is_planned) {
		plan_folder(plan, path, facts, &owner);
		is_planned = plan_member(plan, config, facts, &owner);
	}
	free(owner.group);
	return is_planned;
}

/* --- the milters ---------------------------------------------------------------------------- */

static bool is_balanced(const char *list)
{
	int depth = 0;

	for (; *list != '\0' && depth >= 0; list++)
		depth += (*list == '{') - (*list == '}');
	return depth == 0;
}

/* Locally submitted mail is not to pass this milter because it passes all the others. */
static bool plan_non_smtpd(struct plan *plan, const struct facts *facts)
{
	static const char *const forms[] = {"$" MILTERS, "${" MILTERS "}", "$(" MILTERS ")"};
	const char *own = facts->own_non_smtpd;

	if (own == NULL || !milters_refer_to(own, MILTERS))
		return true;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (strcmp(own, forms[i]) != 0)
			continue;
		changes_add(&plan->changes, CHANGE_MAIN, "non_smtpd_milters", own,
			    facts->own_milters != NULL ? facts->own_milters : "",
			    "Mail that is not from the network passes the other milters only, as "
			    "before");
		return true;
	}
	return say_refusal(
		"non_smtpd_milters = %s: it names " MILTERS ", and would name this milter", own);
}

static bool plan_main(struct plan *plan, const struct facts *facts)
{
	const char *own = facts->own_milters;
	char *list;

	if (plan->has_ours)
		return true;
	if (own != NULL && !is_balanced(own)) {
		return say_refusal(MILTERS " = %s: its braces do not match", own);
	}
	list = milters_append(own, plan->entry);
	changes_add(&plan->changes, CHANGE_MAIN, MILTERS, own, list,
		    "Sessions pass the milter, behind those that are there");
	free(list);
	return plan_non_smtpd(plan, facts);
}

/* What main.cf had before us; NULL if nobody knows, for another one has added us. */
static const char *other_milters(const struct plan *plan, const struct facts *facts,
				 const struct state *state)
{
	const char *own = facts->own_milters != NULL ? facts->own_milters : "";
	const struct change *ours = changes_find(&state->changes, CHANGE_MAIN, MILTERS);

	if (!plan->has_ours)
		return own;
	if (ours == NULL || strcmp(ours->after, own) != 0)
		return NULL;
	return ours->before != NULL ? ours->before : "";
}

static bool plan_service(struct plan *plan, const struct facts_service *service, const char *others)
{
	char *list, *name;

	if (others == NULL) {
		say("%s has the milter too. In master.cf, list only the other milters for it:",
		    service->name);
		say("    -o " MILTERS "=");
		return true;
	}
	list = milters_without_blanks(others);
	if (list == NULL) {
		return say_refusal(MILTERS " = %s: setup can't give that to %s in master.cf",
				   others, service->name);
	}
	name = say_format("%s/" MILTERS, service->name);
	changes_add(&plan->changes, CHANGE_SERVICE, name, NULL, list,
		    "Your own users do not pass this milter");
	free(name);
	free(list);
	return true;
}

static bool plan_services(struct plan *plan, const struct facts *facts, const struct config *config,
			  const struct state *state)
{
	const char *others = other_milters(plan, facts, state);
	size_t reached = 0;

	for (size_t i = 0; i < facts->services_count; i++) {
		const struct facts_service *service = &facts->services[i];

		reached += !service->is_submission && service->milters == NULL;
		if (!service->is_submission && service->milters != NULL &&
		    !milters_have_socket(service->milters, config->socket, facts->queue_directory))
			say("%s has milters of its own in master.cf. If strangers call there, add "
			    "%s",
			    service->name, plan->entry);
		if (service->is_submission && service->milters == NULL &&
		    !plan_service(plan, service, others))
			return false;
	}
	if (reached > 0 || plan->has_ours)
		return true;
	return say_refusal(
		"no smtpd in master.cf takes its milters from main.cf: that would do nothing");
}

/* --- all of it ------------------------------------------------------------------------------ */

static bool is_chrooted(const struct facts *facts)
{
	for (size_t i = 0; i < facts->services_count; i++)
		if (facts->services[i].is_chrooted && !facts->services[i].is_submission &&
		    facts->services[i].milters == NULL)
			return true;
	return false;
}

/* What our configuration must say for a chrooted smtpd. */
static void advise_socket(const struct facts *facts, const struct config *config)
{
	const char *path = milters_path(config->socket);

	if (path == NULL)
		return;
	say("In tarpit-milter.conf, set");
	say("    socket = \"unix:%s/tarpit-milter/milter.sock\"", facts->queue_directory);
	say("run this again, which makes the folder, and restart tarpit-milter.");
}

static bool plan_address(struct plan *plan, const struct facts *facts, const struct config *config)
{
	char error[ERROR_MAX];

	plan->address = milters_address(config->socket, facts->queue_directory, is_chrooted(facts),
					error, sizeof(error));
	if (plan->address == NULL) {
		say_fault(1, "socket = %s: %s", config->socket, error);
		advise_socket(facts, config);
		return false;
	}
	plan->entry = milters_entry(plan->address, plan_timeout_s(config, POSTFIX_TIMEOUT_S));
	plan->has_ours =
		milters_have_socket(facts->milters, config->socket, facts->queue_directory);
	return true;
}

static void plan_settings(struct plan *plan, const struct facts *facts)
{
	const struct {
		const char *name, *own, *value, *why;
	} rows[] = {
		{"smtpd_error_sleep_time", facts->own_sleep, "0",
		 "Postfix's own waits hold its processes without a bound"},
		{"smtpd_hard_error_limit", facts->own_hard_limit, "${stress?{1}:{10}}",
		 "So it hangs up sooner instead"},
		{"disable_vrfy_command", facts->own_vrfy, "yes",
		 "No milter sees VRFY, which tells who is here as fast as one asks"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].own == NULL)
			changes_add(&plan->changes, CHANGE_MAIN, rows[i].name, NULL, rows[i].value,
				    rows[i].why);
		else if (strcmp(rows[i].own, rows[i].value) != 0)
			say("main.cf sets %s = %s, which stays. Better: %s", rows[i].name,
			    rows[i].own, rows[i].value);
}

bool plan_make(struct plan *plan, const struct facts *facts, const struct config *config,
	       const struct state *state)
{
	*plan = (struct plan){0};
	if (!plan_address(plan, facts, config))
		return leave_to_hand(plan, facts);
	if (state->exists && strcmp(state->entry, plan->entry) != 0) {
		say_fault(1, "Postfix was set up with %s: undo that first (--undo)", state->entry);
		return leave_to_hand(plan, facts);
	}
	if (!plan_access(plan, config, facts) || !plan_main(plan, facts) ||
	    !plan_services(plan, facts, config, state))
		return leave_to_hand(plan, facts);
	plan_settings(plan, facts);
	return true;
}

void plan_free(struct plan *plan)
{
	changes_free(&plan->changes);
	free(plan->address);
	free(plan->entry);
}
