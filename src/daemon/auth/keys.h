/* daemon/auth/keys.h: the private keys of TLS, and what is signed with them.
 *
 * Reads certificates and keys (at start and on reload), tells login processes the public part, and
 * signs for them what auth/key_set.h allows. Also makes the keys of session tickets and changes
 * them once a tls.ticket_lifetime.
 *
 * Signing runs in threads of its own: a directory that does not answer holds no handshake up. A
 * login process has at most SIGNS_PER_CLIENT requests under way; more are refused with ERR_BUSY.
 * After a reload the former keys still sign for KEYS_KEPT_MS, for handshakes that began before.
 * Ownership: keys_client belongs to whoever has the channel, and goes before it. One loop thread.
 */
#ifndef DAEMON_AUTH_KEYS_H
#define DAEMON_AUTH_KEYS_H

#include "conf/conf.h"
#include "ipc/channel.h"

enum { SIGN_THREADS = 2, SIGNS_PER_CLIENT = 64, KEYS_KEPT_MS = 60 * 1000 };

struct keys;
struct keys_client;

struct keys *keys_new(struct loop *l);
void keys_free(struct keys *k); /* no client is left */
/* Reads what conf names, tells all clients, and replaces what was there; on failure nothing
 * changes. Files that are not there are no failure where there is no imaps listener, nor anything
 * set besides the defaults: then there is no TLS. */
int keys_load(struct keys *k, const struct conf *conf, struct err *err) must_check;

/* A login process: it is told all that there is at once. */
struct keys_client *keys_client_new(struct keys *k, struct channel *ch);
void keys_client_free(struct keys_client *c); /* NULL is allowed */
/* MESSAGE_SIGN; answered by MESSAGE_SIGNED, later. */
void keys_client_sign(struct keys_client *c, const struct message *m);

#endif
