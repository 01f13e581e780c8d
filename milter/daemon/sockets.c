/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes what the daemon leaves in the file system: sockets, their directories and the pid file. */
#include "state.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "control/socket.h"
#include "mta/filter.h"

/* /run is empty after a boot: makes a socket's directory, unless more than that is missing. */
static bool make_directory(const struct daemon *d, const char *path, char *error, size_t size)
{
	char copy[512];
	const char *directory;

	snprintf(copy, sizeof(copy), "%s", path);
	directory = dirname(copy);
	if (mkdir(directory, 0755) != 0) {
		if (errno == EEXIST)
			return true;
		snprintf(error, size, "directory %s: %s", directory, strerror(errno));
		return false;
	}
	if (d->changes_user && lchown(directory, d->user.uid, d->user.gid) != 0)
		log_message(LOG_WARNING, "start", "can't give %s to user %s: %s", directory,
			    d->user.name, strerror(errno));
	return true;
}

/* Gives the milter's socket to the user that the daemon becomes, and to socket_group. */
static int give_socket(const struct daemon *d, const char *path)
{
	uid_t uid = d->changes_user ? d->user.uid : (uid_t)-1;
	gid_t gid = d->changes_user ? d->user.gid : (gid_t)-1;
	char reason[512], error[256];
	int code = EX_OK;

	if (d->config->socket_group[0] != '\0')
		code = process_find_group(d->config->socket_group, &gid, error, sizeof(error));
	if (code != EX_OK)
		return daemon_fail(d, code, error);
	if (((uid != (uid_t)-1 || gid != (gid_t)-1) && lchown(path, uid, gid) != 0) ||
	    listen_set_mode(path, d->config->socket_mode) != 0) {
		snprintf(reason, sizeof(reason), "socket %s: %s", path, strerror(errno));
		return daemon_fail(d, EX_OSERR, reason);
	}
	return EX_OK;
}

static int open_socket(struct daemon *d)
{
	const char *path = listen_path(&d->address);
	char reason[1024], error[512];
	mode_t umask_before;
	int code;

	if (path == NULL || make_directory(d, path, error, sizeof(error)))
		code = listen_clear(&d->address, error, sizeof(error));
	else
		code = EX_CANTCREAT;
	if (code != EX_OK) {
		snprintf(reason, sizeof(reason), "socket %s: %s", d->config->socket, error);
		return daemon_fail(d, code, reason);
	}
	if (filter_register(&d->tarpit, d->config->socket) != 0)
		return daemon_fail(d, EX_SOFTWARE, "libmilter refuses to register");
	/*
	 * The socket must not be open to more users than socket_mode says, not even for a moment.
	 */
	umask_before = umask(0777 & ~d->config->socket_mode);
	code = filter_open();
	umask(umask_before);
	if (code != 0) {
		snprintf(reason, sizeof(reason), "can't listen on %s", d->config->socket);
		return daemon_fail(d, EX_UNAVAILABLE, reason);
	}
	d->has_socket = true;
	return path != NULL ? give_socket(d, path) : EX_OK;
}

static void open_control(struct daemon *d)
{
	const char *path = d->config->control_socket;
	char error[512];

	if (*path == '\0')
		return;
	if (make_directory(d, path, error, sizeof(error)))
		d->control = control_socket_open(path, error, sizeof(error));
	if (d->control >= 0 && d->changes_user && lchown(path, d->user.uid, d->user.gid) != 0) {
		snprintf(error, sizeof(error), "%s: %s", path, strerror(errno));
		close(d->control);
		unlink(path);
		d->control = -1;
	}
	if (d->control < 0)
		log_message(LOG_WARNING, "start", "no control socket: %s", error);
}

int sockets_open(struct daemon *d)
{
	char reason[512];
	int code;

	if (!listen_parse(d->config->socket, &d->address, reason, sizeof(reason)))
		return daemon_fail(d, EX_CONFIG, reason);
	if (d->config->pid_file[0] != '\0') {
		d->pid_file = process_pid_file(d->config->pid_file, reason, sizeof(reason));
		if (d->pid_file < 0)
			return daemon_fail(d, EX_CANTCREAT, reason);
	}
	code = open_socket(d);
	if (code == EX_OK)
		open_control(d);
	return code;
}

void sockets_remove(const struct daemon *d, const struct config *config)
{
	if (d->has_socket && listen_path(&d->address) != NULL)
		unlink(listen_path(&d->address));
	if (d->control >= 0)
		unlink(config->control_socket);
	if (d->pid_file >= 0)
		process_pid_file_remove(d->pid_file, config->pid_file);
}
