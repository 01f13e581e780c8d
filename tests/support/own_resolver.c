/* SPDX-License-Identifier: BSD-2-Clause */
/* For LD_PRELOAD: a getaddrinfo(3) that asks the name server at TARPIT_TEST_RESOLVER, a port, and no other. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <nss.h>
#include <resolv.h>
#include <stdlib.h>

typedef int ask(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static ask *glibc;
static struct sockaddr_in server = {.sin_family = AF_INET};

__attribute__((constructor)) static void read_server(void)
{
	glibc = (ask *)dlsym(RTLD_NEXT, "getaddrinfo");
	server.sin_port = htons((in_port_t)atoi(getenv("TARPIT_TEST_RESOLVER")));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	__nss_configure_lookup("hosts", "files dns");
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	/* Of this thread; what a program has put there stays although glibc reads /etc/resolv.conf again. */
	res_init();
	_res.ndots = 1;
	_res.nscount = 1;
	_res.nsaddr_list[0] = server;
	return glibc(host, service, hints, found);
}
