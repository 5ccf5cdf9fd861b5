/* io/tls.h: the server side of TLS 1.2 and 1.3 (RFC 8446, RFC 9325, RFC 8314).
 *
 * A tls_pump stands between a TLS socket and one end of a UNIX stream pair and moves bytes both
 * ways, so that whoever holds the other end (the login dialogue, later a mail process) deals
 * with plain bytes only. Its buffers are bounded (some TLS records each way) and are released
 * while nothing is under way.
 *
 * No private key is in this process. What a handshake needs signed is asked for by a callback of
 * the tls_backend and answered later (tls_backend_answer). OpenSSL cannot pause a handshake for
 * that, so handshakes run in worker threads of the backend, which wait for the answer, at most
 * TLS_SIGN_WAIT_MS; the loop never waits.
 *
 * Ownership: a pump owns both its descriptors; it ends by itself when both sides are closed or
 * one breaks, and then calls `done` once, from the loop, where it has already freed itself.
 * Contexts are counted: a reload makes a new one, old connections keep theirs.
 * Failure: a broken handshake or connection is the end of that pump only.
 * Threads: everything is called from the loop's. */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

struct tls_backend;
struct tls_context;
struct tls_pump;

enum {
    TLS_KEY_ID_SIZE = 32,     /* SHA-256 of the SubjectPublicKeyInfo of a certificate */
    TLS_TICKET_KEY_SIZE = 80, /* name 16, AES-256 32, HMAC-SHA256 32 */
    TLS_SIGN_WAIT_MS = 10 * 1000,
    TLS_CERTIFICATES_MAX = 256,
};

/* SignatureScheme (RFC 8446 section 4.2.3): what servers sign with here. */
enum tls_scheme {
    TLS_RSA_PKCS1_SHA256 = 0x0401,
    TLS_RSA_PKCS1_SHA384 = 0x0501,
    TLS_RSA_PKCS1_SHA512 = 0x0601,
    TLS_ECDSA_SHA256 = 0x0403,
    TLS_ECDSA_SHA384 = 0x0503,
    TLS_ECDSA_SHA512 = 0x0603,
    TLS_RSA_PSS_SHA256 = 0x0804,
    TLS_RSA_PSS_SHA384 = 0x0805,
    TLS_RSA_PSS_SHA512 = 0x0806,
    TLS_ED25519 = 0x0807,
};

/* Somebody is to sign data (not a digest: the very bytes that the handshake signs) with the key of
 * that id, and call tls_backend_answer. */
typedef void tls_ask(void *arg, uint64_t id, struct span key, enum tls_scheme scheme,
                     struct span data);

struct tls_backend *tls_backend_new(struct loop *l, unsigned threads, tls_ask *ask, void *arg);
/* No context or pump of it is left. */
void tls_backend_free(struct tls_backend *b);
/* An id that nobody waits for (any more) is ignored. error: 0 or ERR_*; then the handshake fails.
 */
void tls_backend_answer(struct tls_backend *b, uint64_t id, int error, struct span signature);
/* Whoever signs was started anew: asks again for all that waits. */
void tls_backend_again(struct tls_backend *b);
/* The process is to end: signatures that are waited for, and later ones, fail at once. */
void tls_backend_stop(struct tls_backend *b);
/* What encrypts session tickets (RFC 5077, RFC 8446 section 4.6.1), shared by all processes that
 * serve one name: TLS_TICKET_KEY_SIZE bytes, or empty. `previous` only decrypts. */
void tls_backend_set_tickets(struct tls_backend *b, struct span current, struct span previous);

enum tls_client_certificates { TLS_CLIENT_NO, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };

struct tls_settings {
    bool only_tls13;
    uint64_t ticket_lifetime; /* seconds; 0: no tickets */
    enum tls_client_certificates client_certificates;
    bool user_from_common_name; /* else from the first rfc822Name */
};

/* A certificate chain in DER, ours first. */
struct tls_chain {
    const struct span *certificates;
    size_t count;
};

/* The first chain, and those with other kinds of keys and the same names, are for clients that ask
 * for no name or an unknown one. client_ca are those whom client certificates must come from. */
struct tls_context *tls_context_new(struct tls_backend *b, const struct tls_settings *settings,
                                    const struct tls_chain *chains, size_t count,
                                    const struct tls_chain *client_ca, struct err *err) must_check;
void tls_context_unref(struct tls_context *t); /* NULL is allowed */

/* failure: why the handshake failed, a constant text; NULL: it did not, or the client went away. */
typedef void tls_pump_done(void *arg, const char *failure);
/* Starts the handshake at once. */
struct tls_pump *tls_pump_new(struct loop *l, struct tls_context *t, int tls_fd, int plain_fd,
                              tls_pump_done *done, void *arg);
void tls_pump_set_done(struct tls_pump *p, tls_pump_done *done, void *arg);
/* Breaks off; `done` is not called. */
void tls_pump_free(struct tls_pump *p);

bool tls_pump_established(const struct tls_pump *p);
/* These are empty before it is established. */
const char *tls_pump_version(const struct tls_pump *p); /* "TLSv1.3" */
const char *tls_pump_cipher(const struct tls_pump *p);

/* Channel bindings; empty where the connection has none of that kind: tls-exporter (RFC 9266), and
 * tls-unique (RFC 5929) want the extended master secret (RFC 7627) in TLS 1.2, tls-unique is not
 * defined for TLS 1.3; tls-server-end-point needs a certificate signed with a known hash. */
struct tls_bindings {
    struct span exporter, unique, endpoint; /* into store */
    char store[3][64];
};
void tls_pump_bindings(struct tls_pump *p, struct tls_bindings *ret);
/* Whom the client's certificate names; false: none was presented, or it has no such name. */
bool tls_pump_certificate_user(struct tls_pump *p, struct buf *ret);

#endif
