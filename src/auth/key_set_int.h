/* auth/key_set_int.h: what the files about keys share. */
#ifndef AUTH_KEY_SET_INT_H
#define AUTH_KEY_SET_INT_H

#include <openssl/evp.h>

#include "auth/key_set.h"

struct key {
    unsigned char id[KEY_ID_SIZE];
    EVP_PKEY *private;
    struct buf chain;
};

struct key_set {
    struct key *keys;
    size_t count;
    struct buf client_ca;
    unsigned refs;
};

#endif
