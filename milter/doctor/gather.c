/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks the system for what the checks go by. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/text_file.h"
#include "doctor/facts.h"
#include "listeners.h"
#include "postfix_settings.h"

#define SENDMAIL_CF "/etc/mail/sendmail.cf"
#define SENDMAIL_CF_MAX (1024 * 1024)

/* --- the socket ---------------------------------------------------------------------------- */

/* Where a path leads, without links in its folder. False: there is no such folder. */
static bool resolve(const char *path, char resolved[PATH_MAX])
{
	char folder[PATH_MAX];
	const char *name = strrchr(path, '/');
	size_t length;

	if (name == NULL || (size_t)snprintf(folder, sizeof(folder), "%.*s", (int)(name - path),
					     path) >= sizeof(folder))
		return false;
	if (realpath(folder[0] != '\0' ? folder : "/", resolved) == NULL)
		return false;
	length = strcmp(resolved, "/") == 0 ? 0 : strlen(resolved);
	return (size_t)snprintf(resolved + length, PATH_MAX - length, "%s", name) <
	       PATH_MAX - length;
}

static bool is_same_path(const char *a, const char *b)
{
	char resolved_a[PATH_MAX], resolved_b[PATH_MAX];

	if (strcmp(a, b) == 0)
		return true;
	return resolve(a, resolved_a) && resolve(b, resolved_b) &&
	       strcmp(resolved_a, resolved_b) == 0;
}

/* False if this step can't be looked at. */
static bool add_step(struct doctor_socket *socket, const char *path)
{
	struct doctor_step *step = &socket->steps[socket->steps_count];
	struct stat status;

	if (socket->steps_count == DOCTOR_STEPS_MAX || strlen(path) >= sizeof(step->path))
		socket->error = ENAMETOOLONG;
	else if (stat(path, &status) != 0)
		socket->error = errno;
	if (socket->error != 0) {
		snprintf(socket->at, sizeof(socket->at), "%.*s", DOCTOR_PATH_MAX - 1, path);
		return false;
	}
	snprintf(step->path, sizeof(step->path), "%s", path);
	step->mode = status.st_mode;
	step->uid = status.st_uid;
	step->gid = status.st_gid;
	step->has_acl = getxattr(path, "system.posix_acl_access", NULL, 0) > 0;
	socket->steps_count++;
	return true;
}

static void gather_socket(struct doctor_facts *facts)
{
	const char *path = strchr(facts->config->socket, ':');
	char resolved[PATH_MAX];

	if (path == NULL || path[1] != '/')
		return;
	if (!resolve(path + 1, resolved))
		snprintf(resolved, sizeof(resolved), "%s", path + 1);
	if (!add_step(&facts->socket, "/"))
		return;
	for (char *slash = strchr(resolved + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		bool is_there;

		*slash = '\0';
		is_there = add_step(&facts->socket, resolved);
		*slash = '/';
		if (!is_there)
			return;
	}
	add_step(&facts->socket, resolved);
}

/* --- the MTA ------------------------------------------------------------------------------- */

static void gather_user(struct doctor_facts *facts)
{
	struct doctor_user *user = &facts->user;
	int count = DOCTOR_GROUPS_MAX;
	const struct passwd *entry;

	snprintf(user->name, sizeof(user->name), "%s",
		 postfix_setting(facts->postfix, "mail_owner"));
	entry = getpwnam(user->name);
	if (entry == NULL)
		return;
	user->exists = true;
	user->uid = entry->pw_uid;
	/* Of a user with more groups, the first are known. */
	getgrouplist(user->name, entry->pw_gid, user->groups, &count);
	user->groups_count = (size_t)(count < DOCTOR_GROUPS_MAX ? count : DOCTOR_GROUPS_MAX);
}

static void gather_sendmail(struct doctor_facts *facts, const char *path, char *why, size_t size)
{
	struct stat status;

	snprintf(facts->sendmail_path, sizeof(facts->sendmail_path), "%s", path);
	facts->sendmail_cf = text_file_read(path, SENDMAIL_CF_MAX, 0, &status, why, size);
}

static void gather_mta(struct doctor_facts *facts, const char *directory, const char *sendmail_cf)
{
	char why[sizeof(facts->mta_why)];

	if (sendmail_cf != NULL) {
		gather_sendmail(facts, sendmail_cf, facts->mta_why, sizeof(facts->mta_why));
		return;
	}
	facts->postfix = postfix_settings_read(directory, facts->mta_why, sizeof(facts->mta_why));
	if (facts->postfix != NULL) {
		snprintf(facts->postfix_directory, sizeof(facts->postfix_directory), "%s",
			 postfix_setting(facts->postfix, "config_directory"));
		gather_user(facts);
	} else if (directory == NULL) {
		/* What is told is why there is no Postfix. */
		gather_sendmail(facts, SENDMAIL_CF, why, sizeof(why));
	}
}

/* --- the host ------------------------------------------------------------------------------ */

static void gather_addresses(struct doctor_facts *facts)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *one = all;
	     one != NULL && facts->addresses_count < DOCTOR_ADDRESSES_MAX; one = one->ifa_next)
		if (one->ifa_addr != NULL &&
		    prefix_from_sockaddr(one->ifa_addr, &facts->addresses[facts->addresses_count]))
			facts->addresses_count++;
	freeifaddrs(all);
}

void doctor_gather(struct doctor_facts *facts, const char *directory, const char *sendmail_cf)
{
	facts->is_same_path = is_same_path;
	if (facts->config == NULL)
		return;
	gather_socket(facts);
	gather_mta(facts, directory, sendmail_cf);
	gather_addresses(facts);
	listeners_read(facts);
}

void doctor_facts_free(struct doctor_facts *facts)
{
	postfix_settings_free(facts->postfix);
	free(facts->sendmail_cf);
}
