/* io/tls_int.h: what the files of TLS share. */
#ifndef IO_TLS_INT_H
#define IO_TLS_INT_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "io/tls.h"
#include "io/workers.h"

enum { TLS_SIGN_DATA_MAX = 256, TLS_SIGNATURE_MAX = 1024 };

struct tls_ticket_key {
    unsigned char name[16], aes[32], hmac[32];
    bool there;
};

struct tls_backend {
    struct loop *loop;
    struct loop_watch *watch;
    struct workers *workers;
    tls_ask *ask;
    void *arg;
    int wake; /* eventfd: something is to be asked for */

    pthread_mutex_t lock; /* for all below: handshakes use it in their threads */
    struct list waits;
    uint64_t next_id;
    struct tls_ticket_key current, previous;
    bool stopped;
};

/* tls_sign.c. In a thread of a handshake: waits. 0 or ERR_*. */
int tls_backend_sign(struct tls_backend *b, const unsigned char key[TLS_KEY_ID_SIZE],
                     enum tls_scheme scheme, struct span data, unsigned char *sig, size_t max,
                     size_t *ret_n);
/* The ticket key of that name, or the current one for NULL; false: there is none. */
bool tls_backend_ticket_key(struct tls_backend *b, const unsigned char *name,
                            struct tls_ticket_key *ret, bool *ret_current);

/* tls_provider.c: an OpenSSL provider whose keys have no private part. */
void tls_provider_load(void);
/* The key that belongs to a certificate. */
EVP_PKEY *tls_provider_key(X509 *x509);
/* Around everything in a thread that may sign. */
void tls_provider_use(struct tls_backend *b);

/* tls.c */
struct tls_context {
    struct tls_backend *backend;
    SSL_CTX *ssl;
    struct tls_cert *certs;
    size_t cert_count;
    struct tls_name *names; /* sorted */
    size_t name_count;
    bool user_from_common_name;
    size_t refs;
};
struct tls_context *tls_context_ref(struct tls_context *t);
/* tls-server-end-point (RFC 5929 section 4); 0: undefined for this certificate. */
size_t tls_endpoint_hash(X509 *x509, unsigned char to[EVP_MAX_MD_SIZE]);

#endif
