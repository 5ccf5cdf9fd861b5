/* New secrets, and examples of those in use. */
#include <argon2.h>
#include <crypt.h>
#include <pthread.h>

#include "auth/password_int.h"
#include "auth/precis.h"
#include "base/map.h"
#include "base/random.h"

static const char *const kind_names[] = {
    [PASSWORD_YESCRYPT_SCRAM] = "yescrypt+scram",
    [PASSWORD_YESCRYPT] = "yescrypt",
    [PASSWORD_BCRYPT] = "bcrypt",
    [PASSWORD_SHA512] = "sha512",
    [PASSWORD_ARGON2ID] = "argon2id",
    [PASSWORD_SCRAM] = "scram",
};

bool password_kind_parse(struct span name, enum password_kind *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(kind_names); i++) {
        if (span_eq(name, span_str(kind_names[i]))) {
            *ret = (enum password_kind)i;
            return true;
        }
    }
    return false;
}

static int make_crypt(const char *method, unsigned long cost, struct span password, struct buf *ret,
                      struct err *err)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], bytes[32];
    random_bytes(bytes, sizeof(bytes));
    if (!crypt_gensalt_rn(method, cost, bytes, sizeof(bytes), setting, sizeof(setting)))
        return err_set_errno(err, "crypt_gensalt");
    struct crypt_data *data = xnew(struct crypt_data);
    autofree char *text = span_dup(password);
    const char *made = crypt_rn(text, setting, data, (int)sizeof(*data));
    bool ok = made && made[0] != '*';
    if (ok)
        buf_put_str(ret, made);
    explicit_bzero(text, password.n);
    explicit_bzero(data, sizeof(*data));
    free(data);
    return ok ? 0 : err_set(err, ERR_INVALID, "crypt(3) does not take this password");
}

/* RFC 9106 section 4, its second recommended option: 64 MiB, 3 passes, 4 lanes. */
static int make_argon2(struct span password, struct buf *ret, struct err *err)
{
    char salt[16], encoded[256];
    random_bytes(salt, sizeof(salt));
    int r = argon2id_hash_encoded(3, 65536, 4, password.p, password.n, salt, sizeof(salt), 32,
                                  encoded, sizeof(encoded));
    if (r != ARGON2_OK)
        return err_set(err, ERR_IO, "argon2: %s", argon2_error_message(r));
    buf_printf(ret, "{ARGON2ID}%s", encoded);
    return 0;
}

static void make_scram(struct span password, struct buf *ret)
{
    buf_put_lit(ret, "{SCRAM-SHA-256}");
    password_scram_make(true, password, SPAN_EMPTY, PASSWORD_SCRAM_ITERATIONS, ret);
    buf_put_lit(ret, " {SCRAM-SHA-1}");
    password_scram_make(false, password, SPAN_EMPTY, PASSWORD_SCRAM_ITERATIONS, ret);
}

static int make(enum password_kind k, struct span password, struct buf *ret, struct err *err)
{
    int r;
    switch (k) {
    case PASSWORD_YESCRYPT_SCRAM:
        r = make_crypt("$y$", 0, password, ret, err);
        if (r < 0)
            return r;
        buf_put_byte(ret, ' ');
        make_scram(password, ret);
        return 0;
    case PASSWORD_YESCRYPT:
        return make_crypt("$y$", 0, password, ret, err);
    case PASSWORD_BCRYPT:
        if (password.n > 72) /* the rest would not count */
            return err_set(err, ERR_INVALID, "bcrypt takes passwords of at most 72 bytes");
        return make_crypt("$2b$", 12, password, ret, err);
    case PASSWORD_SHA512:
        return make_crypt("$6$", 100000, password, ret, err);
    case PASSWORD_ARGON2ID:
        return make_argon2(password, ret, err);
    case PASSWORD_SCRAM:
        break;
    }
    make_scram(password, ret);
    return 0;
}

/* Examples. */

enum { EXAMPLES_MAX = 8 };

/* Computes like any other; its password is unknown (the hash is random). */
static const char assumed[] =
    "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7";

struct password_examples {
    pthread_mutex_t lock;
    size_t count;
    struct {
        char *shape, *secrets;
    } of[EXAMPLES_MAX];
    bool assume;
};

struct password_examples *password_examples_new(bool assume)
{
    struct password_examples *x = xnew(struct password_examples);
    pthread_mutex_init(&x->lock, NULL);
    x->assume = assume;
    return x;
}

void password_examples_free(struct password_examples *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < x->count; i++) {
        explicit_bzero(x->of[i].secrets, strlen(x->of[i].secrets));
        free(x->of[i].secrets);
        free(x->of[i].shape);
    }
    pthread_mutex_destroy(&x->lock);
    free(x);
}

void password_examples_learn(struct password_examples *x, struct span secrets)
{
    autobuf shape = BUF_INIT(PASSWORD_SECRETS_MAX);
    password_shape(secrets, &shape);
    if (!shape.n || !buf_ok(&shape))
        return;
    pthread_mutex_lock(&x->lock);
    size_t i = 0;
    while (i < x->count && strcmp(x->of[i].shape, shape.p) != 0)
        i++;
    if (i == x->count && i < EXAMPLES_MAX) {
        x->of[i].secrets = span_dup(secrets);
        x->of[i].shape = buf_take(&shape);
        x->count++;
    }
    pthread_mutex_unlock(&x->lock);
}

bool password_examples_check(struct password_examples *x, struct span name, struct span secrets,
                             struct span password)
{
    autobuf shape = BUF_INIT(PASSWORD_SECRETS_MAX);
    password_shape(secrets, &shape);
    bool fits = password_check(secrets, password);
    if (shape.n)
        return fits;
    pthread_mutex_lock(&x->lock);
    const char *example = x->count    ? x->of[hash_bytes(name) % x->count].secrets
                          : x->assume ? assumed
                                      : NULL;
    pthread_mutex_unlock(&x->lock); /* examples never go before x does */
    if (example) {
        bool unused = password_check(span_str(example), password);
        (void)unused;
    }
    return fits;
}

/* As it will be prepared when it is presented. */
int password_make(enum password_kind k, struct span password, struct buf *ret, struct err *err)
{
    autobuf prepared = BUF_INIT(PASSWORD_MAX);
    if (!password.n || password.n > PASSWORD_MAX || precis_password(password, &prepared) < 0)
        return err_set(err, ERR_INVALID,
                       "a password has 1 to %d bytes of UTF-8, without control characters",
                       PASSWORD_MAX);
    int r = make(k, buf_span(&prepared), ret, err);
    explicit_bzero(prepared.p, prepared.n);
    return r;
}
