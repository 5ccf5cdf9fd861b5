/* auth/key_set.h: private keys of TLS with their certificates, and what may be signed with them.
 *
 * A login process faces strangers and may fall to one: what it asks to have signed is looked at
 * first, so that it gets signatures that a TLS handshake can use, and nothing else: no
 * certificate request, no token, no other protocol's challenge. What remains to whoever owns a
 * login process: he can complete handshakes in the server's name as long as he owns it.
 *
 * A set is immutable; its references are counted by the loop's thread, and while a thread signs,
 * the loop holds one for it. Limits: CHAIN_MAX bytes a chain, KEYS_MAX certificates. */
#ifndef AUTH_KEY_SET_H
#define AUTH_KEY_SET_H

#include "base/buf.h"
#include "conf/conf.h"
#include "ipc/messages.h"

enum { KEYS_MAX = 256 };

struct key;
struct key_set;

/* tls.certificate, tls.certificates and tls.client_ca. NULL with err. */
struct key_set *key_set_load(const struct conf *conf, struct err *err) must_check;
struct key_set *key_set_ref(struct key_set *s);
void key_set_unref(struct key_set *s); /* NULL is allowed */

size_t key_set_count(const struct key_set *s); /* NULL is allowed: none */
/* As MESSAGE_CERTIFICATE and MESSAGE_CERTIFICATES have them. */
struct span key_set_chain(const struct key_set *s, size_t i);
struct span key_set_client_ca(const struct key_set *s);
/* id: KEY_ID_SIZE bytes, SHA-256 of the SubjectPublicKeyInfo. NULL: not among them (or s NULL). */
const struct key *key_set_find(const struct key_set *s, struct span id);

/* Is this what a server signs in a handshake of TLS 1.2 or 1.3 with that SignatureScheme? */
bool key_may_sign(uint32_t scheme, struct span data);
/* ERR_DENIED if it may not, or the key is of another kind. Any thread. */
int key_sign(const struct key *k, uint32_t scheme, struct span data, struct buf *ret) must_check;

#endif
