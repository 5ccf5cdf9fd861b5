/* io/tls.h: the server side of TLS 1.2 and 1.3 (RFC 8446, RFC 9325, RFC 8314).
 *
 * A tls_pump stands between a TLS socket and one end of a UNIX stream pair and moves bytes both
 * ways, so that whoever holds the other end (the login dialogue, later a mail process) deals
 * with plain bytes only. Its buffers are bounded (one TLS record each way) and are released
 * while nothing is under way.
 * Ownership: a pump owns both its descriptors; it ends by itself when both sides are closed or
 * one breaks, and then calls `done` once, from the loop, where it has already freed itself.
 * Contexts are reference-counted by OpenSSL: a reload makes a new one, old connections keep theirs.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/err.h"
#include "io/loop.h"

struct tls_context;
struct tls_pump;

/* Reads certificate chain and key (PEM). */
struct tls_context *tls_context_new(const char *cert_file, const char *key_file,
                                    struct err *err) must_check;
void tls_context_free(struct tls_context *t);

typedef void tls_pump_done(void *arg);
/* Starts the handshake at once. */
struct tls_pump *tls_pump_new(struct loop *l, struct tls_context *t, int tls_fd, int plain_fd,
                              tls_pump_done *done, void *arg);
/* Breaks off; `done` is not called. */
void tls_pump_free(struct tls_pump *p);
bool tls_pump_established(const struct tls_pump *p);
const char *tls_pump_version(const struct tls_pump *p); /* "TLSv1.3"; "" before it is known */
const char *tls_pump_cipher(const struct tls_pump *p);

#endif
