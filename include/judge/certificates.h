/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of client certificates, by subject or fingerprint. Immutable once sealed. */
#ifndef TARPIT_JUDGE_CERTIFICATES_H
#define TARPIT_JUDGE_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>

#include "judge/mta_kind.h"

struct certificates;

/*
 * What the MTA says of a client's certificate; NULL: nothing. Postfix says the subject only, which
 * is the CN there.
 */
struct certificate {
	const char *verify;		/* {verify} */
	const char *subject;		/* {cert_subject} */
	const char *common_name;	/* {cn_subject} */
	const char *fingerprint;	/* {cert_fp} */
	const char *md5;		/* {cert_md5}, where there is no {cert_fp} */
};

struct certificates *certificates_new(void);	/* NULL if out of memory */
void certificates_free(struct certificates *certificates);
/* A fingerprint, a common name, or a whole subject (/CN=...). False with the reason in error. */
bool certificates_add(struct certificates *certificates, const char *text, char *error,
		      size_t size);
/* From here on it may be read by any thread. */
void certificates_seal(struct certificates *certificates);

/* Whether the MTA trusts it. */
bool certificate_is_verified(const struct certificate *certificate, enum mta_kind mta);
/* Whether it is verified, and in the list. */
bool certificates_have(const struct certificates *certificates,
		       const struct certificate *certificate, enum mta_kind mta);

#endif
