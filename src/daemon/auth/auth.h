/* daemon/auth/auth.h: the auth process, and what its files share. One loop thread. */
#ifndef DAEMON_AUTH_AUTH_H
#define DAEMON_AUTH_AUTH_H

#include "auth/directory.h"
#include "auth/sasl.h"
#include "auth/throttle.h"
#include "base/list.h"
#include "daemon/auth/attempt.h"
#include "daemon/auth/keys.h"
#include "daemon/auth/mta.h"
#include "daemon/skeleton.h"

enum { ATTEMPTS_MAX = 20000, LOOK_MS = 5000 };

struct auth {
    struct daemon *daemon;
    struct keys *keys;               /* of TLS */
    struct directories *directories; /* replaced on reload */
    struct throttle throttle;
    unsigned char scram_key[SASL_KEY_SIZE];
    struct list clients; /* login and mail processes */
    struct list mta_ports;
    bool scram;             /* is offered */
    struct loop_timer look; /* whether it still is good for everybody */
    size_t attempt_count;
};

/* lookup.c: whether there is such a user, for deliveries (MESSAGE_USER_LOOKUP). */
struct lookups;
struct lookups *lookups_new(struct auth *a, struct channel *ch);
void lookups_free(struct lookups *l); /* before the channel goes; NULL is allowed */
void lookup_start(struct lookups *l, const struct message *m);

#endif
