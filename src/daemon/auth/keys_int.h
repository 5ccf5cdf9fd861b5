/* daemon/auth/keys_int.h: one set of certificates with their keys. */
#ifndef DAEMON_AUTH_KEYS_INT_H
#define DAEMON_AUTH_KEYS_INT_H

#include <openssl/evp.h>

#include "daemon/auth/keys.h"

struct key {
    unsigned char id[KEY_ID_SIZE];
    EVP_PKEY *private;
    struct buf chain; /* as MESSAGE_CERTIFICATE has it */
};

/* Immutable; a thread that signs has a reference to it. */
struct key_set {
    struct key *keys;
    size_t count;
    struct buf client_ca; /* as MESSAGE_CERTIFICATES has it */
    unsigned refs;        /* used by the loop's thread only */
};

/* key_files.c */
struct key_set *key_set_load(const struct conf *conf, struct err *err) must_check;
struct key_set *key_set_ref(struct key_set *s);
void key_set_unref(struct key_set *s); /* NULL is allowed */
const struct key *key_set_find(const struct key_set *s, struct span id);

/* key_sign.c; any thread. 0 or ERR_*. */
int key_sign(const struct key *k, uint32_t scheme, struct span data, struct buf *ret);

#endif
