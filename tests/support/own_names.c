/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For LD_PRELOAD: Sendmail on a host of its own, whose name has a dot and where no DNS is asked. All its
 * processes stay in the process group that the test has made, which the test ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <nss.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define HOST_NAME "mx.example.test"

static const struct {
	const char *address;
	const char *name;
} hosts[] = {
	{"127.0.0.1", "localhost"},
	{"127.0.0.1", HOST_NAME},
	{"::1", "localhost"},
	{"127.9.9.9", "mail.partner.test"},
};

/* For whatever asks by getaddrinfo(3) or getpwnam(3). */
__attribute__((constructor)) static void use_files(void)
{
	static const char *const databases[] = {"hosts", "passwd", "group", "services", "protocols"};

	for (size_t i = 0; i < sizeof databases / sizeof *databases; i++)
		__nss_configure_lookup(databases[i], "files");
}

int gethostname(char *name, size_t size)
{
	strncpy(name, HOST_NAME, size);
	return 0;
}

int uname(struct utsname *found)
{
	if (syscall(SYS_uname, found) != 0)
		return -1;
	strcpy(found->nodename, HOST_NAME);
	return 0;
}

static struct hostent *entry(const char *name, int family, const void *address)
{
	static struct hostent found;
	static char name_found[256];
	static unsigned char bytes[16];
	static char *aliases[] = {NULL};
	static char *addresses[] = {(char *)bytes, NULL};

	memcpy(bytes, address, sizeof bytes);
	strncpy(name_found, name, sizeof name_found - 1);
	found = (struct hostent){name_found, aliases, family, family == AF_INET ? 4 : 16, addresses};
	return &found;
}

struct hostent *gethostbyname2(const char *name, int family)
{
	unsigned char address[16] = {0};

	if (inet_pton(family, name, address) == 1)
		return entry(name, family, address);
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		if (strcasecmp(hosts[i].name, name) == 0 &&
		    inet_pton(family, hosts[i].address, address) == 1)
			return entry(hosts[i].name, family, address);
	h_errno = HOST_NOT_FOUND;
	return NULL;
}

struct hostent *gethostbyname(const char *name)
{
	return gethostbyname2(name, AF_INET);
}

struct hostent *gethostbyaddr(const void *wanted, socklen_t length, int family)
{
	unsigned char address[16] = {0};

	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		if (inet_pton(family, hosts[i].address, address) == 1 && memcmp(address, wanted, length) == 0)
			return entry(hosts[i].name, family, address);
	h_errno = HOST_NOT_FOUND;
	return NULL;
}

pid_t setsid(void)
{
	return getpgrp();
}
