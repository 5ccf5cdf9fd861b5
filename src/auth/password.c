#include "auth/password.h"

#include <argon2.h>
#include <crypt.h>
#include <openssl/crypto.h>

#include "auth/password_int.h"
#include "wire/base64.h"

bool secret_equal(struct span a, struct span b)
{
    unsigned char diff = a.n != b.n;
    for (size_t i = 0; i < a.n; i++)
        diff |= (unsigned char)a.p[i] ^ (b.n ? (unsigned char)b.p[i % b.n] : 1);
    return diff == 0;
}

static const struct {
    const char *prefix;
    enum password_form form;
} schemes[] = {
    {"{PLAIN}", PASSWORD_PLAIN},
    {"{CRYPT}", PASSWORD_CRYPT},
    {"{BLF-CRYPT}", PASSWORD_CRYPT},
    {"{SHA512-CRYPT}", PASSWORD_CRYPT},
    {"{SHA256-CRYPT}", PASSWORD_CRYPT},
    {"{MD5-CRYPT}", PASSWORD_CRYPT},
    {"{ARGON2ID}", PASSWORD_ARGON2ID_HASH},
    {"{ARGON2I}", PASSWORD_ARGON2I_HASH},
    {"{SCRAM-SHA-1}", PASSWORD_SCRAM_SHA1},
    {"{SCRAM-SHA-256}", PASSWORD_SCRAM_SHA256},
    /* as they are without braces */
    {"SCRAM-SHA-1$", PASSWORD_SCRAM_SHA1},
    {"SCRAM-SHA-256$", PASSWORD_SCRAM_SHA256},
};

static void classify(struct span token, struct password_secret *s)
{
    s->form = PASSWORD_CRYPT;
    s->value = token;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (span_istarts(token, span_str(schemes[i].prefix))) {
            s->form = schemes[i].form;
            s->value = span_skip(token, strlen(schemes[i].prefix));
        }
    }
    if (span_starts(s->value, SPAN("$argon2id$")))
        s->form = PASSWORD_ARGON2ID_HASH;
    else if (span_starts(s->value, SPAN("$argon2i$")))
        s->form = PASSWORD_ARGON2I_HASH;
    else if (s->form == PASSWORD_CRYPT && (span_eq(s->value, SPAN("*")) || !s->value.n))
        s->form = PASSWORD_NOTHING;
}

bool password_secret_next(struct span *rest, struct password_secret *ret)
{
    while (rest->n && (rest->p[0] == ' ' || rest->p[0] == '!'))
        *rest = span_skip(*rest, 1);
    if (!rest->n)
        return false;
    size_t n = span_istarts(*rest, SPAN("{PLAIN}")) ? SPAN_NPOS : span_find_byte(*rest, ' ');
    struct span token = span_head(*rest, n);
    *rest = span_skip(*rest, token.n);
    classify(token, ret);
    return true;
}

bool password_disabled(struct span secrets)
{
    return secrets.n && secrets.p[0] == '!';
}

static bool argon2_valid(struct span v)
{
    size_t at = span_find(v, SPAN("$m="));
    struct span m = at == SPAN_NPOS ? SPAN_EMPTY : span_skip(v, at + 3);
    uint64_t kib;
    return v.n < 512 &&
           span_to_u64(span_head(m, span_find_byte(m, ',')), PASSWORD_ARGON2_MEMORY_MAX_KIB, &kib);
}

static bool crypt_valid(struct span v)
{
    if (v.n >= CRYPT_OUTPUT_SIZE)
        return false;
    autofree char *text = span_dup(v);
    int r = crypt_checksalt(text);
    /* A salt alone passes that check, but nothing is as long as its hash. */
    return v.n >= 13 && r != CRYPT_SALT_INVALID && r != CRYPT_SALT_METHOD_DISABLED;
}

static bool secret_valid(const struct password_secret *s)
{
    struct password_scram scram;
    switch (s->form) {
    case PASSWORD_CRYPT:
        return crypt_valid(s->value);
    case PASSWORD_ARGON2ID_HASH:
    case PASSWORD_ARGON2I_HASH:
        return argon2_valid(s->value);
    case PASSWORD_SCRAM_SHA1:
    case PASSWORD_SCRAM_SHA256:
        return password_scram_parse(s->value, s->form == PASSWORD_SCRAM_SHA256, &scram) == 0;
    case PASSWORD_PLAIN:
        return s->value.n <= PASSWORD_MAX;
    case PASSWORD_NOTHING:
        break;
    }
    return true;
}

int password_secrets_valid(struct span secrets, struct err *err)
{
    struct password_secret s;
    unsigned number = 1;
    if (secrets.n > PASSWORD_SECRETS_MAX)
        return err_set(err, ERR_INVALID, "secrets of more than %d bytes", PASSWORD_SECRETS_MAX);
    for (struct span rest = secrets; password_secret_next(&rest, &s); number++)
        if (!secret_valid(&s)) /* not shown: it could be a password without {PLAIN} */
            return err_set(err, ERR_INVALID, "secret %u is of no known form (password hash?)",
                           number);
    return 0;
}

/* Checking. */

static bool crypt_fits(struct span hash, struct span password)
{
    struct crypt_data *data = xnew(struct crypt_data);
    autofree char *text = span_dup(password), *setting = span_dup(hash);
    /* not crypt_r, which a sanitizer replaces by one that needs libcrypt loaded before it */
    const char *made = crypt_rn(text, setting, data, (int)sizeof(*data));
    bool fits = made && made[0] != '*' && secret_equal(span_str(made), hash);
    explicit_bzero(data, sizeof(*data));
    explicit_bzero(text, password.n);
    free(data);
    return fits;
}

static bool argon2_fits(const struct password_secret *s, struct span password)
{
    autofree char *encoded = span_dup(s->value);
    argon2_type type = s->form == PASSWORD_ARGON2ID_HASH ? Argon2_id : Argon2_i;
    return argon2_valid(s->value) &&
           argon2_verify(encoded, password.p, password.n, type) == ARGON2_OK;
}

static bool scram_fits(const struct password_secret *s, struct span password)
{
    struct password_scram stored, made;
    bool sha256 = s->form == PASSWORD_SCRAM_SHA256;
    if (password_scram_parse(s->value, sha256, &stored) < 0)
        return false;
    made = stored;
    password_scram_derive(&made, password);
    bool fits = CRYPTO_memcmp(made.stored_key, stored.stored_key, stored.key_n) == 0;
    explicit_bzero(&made, sizeof(made));
    explicit_bzero(&stored, sizeof(stored));
    return fits;
}

static bool is_slow(enum password_form f)
{
    return f == PASSWORD_CRYPT || f == PASSWORD_ARGON2ID_HASH || f == PASSWORD_ARGON2I_HASH;
}

static bool is_scram(enum password_form f)
{
    return f == PASSWORD_SCRAM_SHA1 || f == PASSWORD_SCRAM_SHA256;
}

/* The one kind of SCRAM keys to try: SHA-256 where there is one, none beside other secrets. */
static bool scram_to_try(struct span secrets, enum password_form *ret)
{
    struct password_secret s;
    bool found = false;
    while (password_secret_next(&secrets, &s)) {
        if (is_slow(s.form) || s.form == PASSWORD_PLAIN)
            return false;
        if (is_scram(s.form) && (!found || s.form == PASSWORD_SCRAM_SHA256)) {
            *ret = s.form;
            found = true;
        }
    }
    return found;
}

bool password_check(struct span secrets, struct span password)
{
    struct password_secret s;
    enum password_form scram = PASSWORD_NOTHING;
    bool fits = false, try_scram = scram_to_try(secrets, &scram);
    if (password.n > PASSWORD_MAX || (password.n && memchr(password.p, '\0', password.n)))
        return false;
    while (password_secret_next(&secrets, &s)) {
        if (s.form == PASSWORD_CRYPT)
            fits |= crypt_fits(s.value, password);
        else if (is_slow(s.form))
            fits |= argon2_fits(&s, password);
        else if (s.form == PASSWORD_PLAIN)
            fits |= secret_equal(password, s.value);
        else if (try_scram && s.form == scram)
            fits |= scram_fits(&s, password);
    }
    return fits;
}

bool password_scram(struct span secrets, bool sha256, struct buf *ret)
{
    enum password_form want = sha256 ? PASSWORD_SCRAM_SHA256 : PASSWORD_SCRAM_SHA1;
    struct password_secret s;
    struct password_scram keys;
    while (password_secret_next(&secrets, &s)) {
        if (s.form == PASSWORD_PLAIN) {
            password_scram_make(sha256, s.value, SPAN_EMPTY, PASSWORD_SCRAM_ITERATIONS, ret);
            return true;
        }
        if (s.form == want && password_scram_parse(s.value, sha256, &keys) == 0) {
            password_scram_put(&keys, ret);
            return true;
        }
    }
    return false;
}

/* What determines how long it takes: method and costs, without salt and hash. */
static void shape_of_crypt(struct span v, struct buf *out)
{
    struct span rest = v, field;
    if (!v.n || v.p[0] != '$') {
        buf_put_lit(out, "des");
        return;
    }
    for (int i = 0; i < 5 && span_split(&rest, '$', &field); i++) {
        bool costs = i < 2 || memchr(field.p, '=', field.n) ||
                     (i == 2 && (v.p[1] == '2' || v.p[1] == 'y' || v.p[1] == 'g'));
        if (!costs)
            break;
        buf_put_span(out, field);
        buf_put_byte(out, '$');
    }
}

void password_shape(struct span secrets, struct buf *out)
{
    struct password_secret s;
    struct password_scram keys;
    enum password_form scram = PASSWORD_NOTHING;
    bool try_scram = scram_to_try(secrets, &scram);
    while (password_secret_next(&secrets, &s)) {
        bool sha256 = s.form == PASSWORD_SCRAM_SHA256;
        if (is_slow(s.form))
            shape_of_crypt(s.value, out);
        else if (try_scram && s.form == scram && password_scram_parse(s.value, sha256, &keys) == 0)
            buf_printf(out, "scram%d,%u", sha256, keys.iterations);
    }
}
