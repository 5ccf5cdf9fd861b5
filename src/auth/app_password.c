#include "auth/app_password.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "auth/edit_int.h"
#include "auth/file_state.h"
#include "auth/users_int.h"
#include "base/clock.h"
#include "base/logline.h"
#include "base/map.h"
#include "base/random.h"

enum {
    SECRET_CHARS = 20, /* of 32: 100 bits */
    SALT_SIZE = 8,
    HASH_SIZE = 32,
    FILE_LIMIT = 256 << 20,
    FIELDS = 7,
    FIELD_MAX = 1024
};

/* No i, l, o or 1: people type these. */
static const char letters[] = "abcdefghjkmnpqrstuvwxyz023456789";

static void normalise(struct span password, struct buf *out)
{
    for (size_t i = 0; i < password.n; i++) {
        unsigned char c = ascii_lower((unsigned char)password.p[i]);
        if (c != '-' && c != ' ')
            buf_put_byte(out, (char)c);
    }
}

static bool is_letter(char c)
{
    return c && strchr(letters, c);
}

bool app_password_looks_like(struct span password)
{
    autobuf plain = BUF_INIT(64);
    if (password.n > 64)
        return false;
    normalise(password, &plain);
    bool good = plain.n == SECRET_CHARS;
    for (size_t i = 0; good && i < plain.n; i++)
        good = is_letter(plain.p[i]);
    if (plain.p)
        explicit_bzero(plain.p, plain.n);
    return good;
}

/* "sha256$<salt>$<hash>", in hexadecimal. */
static void put_hash(struct span plain, const unsigned char salt[SALT_SIZE], struct buf *out)
{
    unsigned char hash[HASH_SIZE];
    autobuf both = BUF_INIT(128);
    buf_put(&both, salt, SALT_SIZE);
    buf_put_span(&both, plain);
    int ok = EVP_Digest(both.p, both.n, hash, NULL, EVP_sha256(), NULL);
    invariant(ok == 1);
    buf_put_lit(out, "sha256$");
    buf_put_hex(out, salt, SALT_SIZE);
    buf_put_byte(out, '$');
    buf_put_hex(out, hash, sizeof(hash));
    explicit_bzero(both.p, both.n);
}

static int hex_digit(char c)
{
    return ascii_is_digit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_salt(struct span hash, unsigned char salt[SALT_SIZE])
{
    if (hash.n != 7 + 2 * SALT_SIZE + 1 + 2 * HASH_SIZE || !span_starts(hash, SPAN("sha256$")))
        return false;
    for (size_t i = 0; i < SALT_SIZE; i++) {
        int high = hex_digit(hash.p[7 + 2 * i]), low = hex_digit(hash.p[8 + 2 * i]);
        if (high < 0 || low < 0)
            return false;
        salt[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool hash_fits(struct span hash, struct span plain)
{
    unsigned char salt[SALT_SIZE];
    autobuf made = BUF_INIT(128);
    if (!parse_salt(hash, salt))
        return false;
    put_hash(plain, salt, &made);
    return secret_equal(buf_span(&made), hash);
}

/* Lines. */

static void put_escaped(struct span s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c == '%' || c == ':' || c == 0x7f || (i == 0 && c == '#'))
            buf_printf(out, "%%%02X", c);
        else
            buf_put_byte(out, (char)c);
    }
}

static bool put_unescaped(struct span s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            buf_put_byte(out, s.p[i]);
            continue;
        }
        if (s.n - i < 3)
            return false;
        int high = hex_digit((char)ascii_lower((unsigned char)s.p[i + 1]));
        int low = hex_digit((char)ascii_lower((unsigned char)s.p[i + 2]));
        if (high < 0 || low < 0)
            return false;
        buf_put_byte(out, (char)(high << 4 | low));
        i += 2;
    }
    return buf_ok(out);
}

struct parsed {
    struct app_password p;
    struct buf user, name;
};

static void parsed_done(struct parsed *d)
{
    buf_done(&d->user);
    buf_done(&d->name);
}

/* 1: an entry, 0: nothing here, ERR_INVALID. */
static int parse_line(struct span line, struct parsed *ret)
{
    struct span l = span_trim(line), field[FIELDS], rest = l;
    size_t n = 0;
    buf_init(&ret->user, FIELD_MAX);
    buf_init(&ret->name, FIELD_MAX);
    if (!l.n || l.p[0] == '#')
        return 0;
    for (n = 0; n + 1 < FIELDS; n++) {
        size_t at = span_find_byte(rest, ':');
        if (at == SPAN_NPOS)
            return ERR_INVALID;
        field[n] = span_head(rest, at);
        rest = span_skip(rest, at + 1);
    }
    field[n] = rest;
    if (!put_unescaped(field[0], &ret->user) || !put_unescaped(field[2], &ret->name) ||
        !field[0].n || !field[1].n || !span_to_u64(field[5], INT64_MAX, &ret->p.expires) ||
        !span_to_u64(field[6], INT64_MAX, &ret->p.created))
        return ERR_INVALID;
    ret->p.user = buf_span(&ret->user);
    ret->p.id = field[1];
    ret->p.name = buf_span(&ret->name);
    ret->p.hash = field[3];
    ret->p.services = field[4];
    return 1;
}

static int bad_line(const char *file, unsigned number, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s:%u: not an application password", file, number);
}

/* Reading all. */

struct walk {
    const char *file;
    struct span user;
    int (*each)(void *arg, const struct app_password *p);
    void *arg;
    struct err *err;
};

static int walk_line(void *arg, struct span line, unsigned number)
{
    struct walk *w = arg;
    struct parsed d;
    int r = parse_line(line, &d);
    if (r < 0)
        r = bad_line(w->file, number, w->err);
    else if (r > 0)
        r = !w->user.n || span_eq(w->user, d.p.user) ? w->each(w->arg, &d.p) : 0;
    parsed_done(&d);
    return r;
}

int app_password_each(const char *file, struct span user,
                      int (*each)(void *arg, const struct app_password *p), void *arg,
                      struct err *err)
{
    struct walk w = {file, user, each, arg, err};
    autobuf text = BUF_INIT(FILE_LIMIT);
    int r = users_read_file(file, &text, err);
    if (r == 0)
        r = edit_each_line(buf_span(&text), walk_line, &w);
    return r == ERR_NOT_FOUND ? 0 : r;
}

/* Changes. */

static void make_word(size_t n, struct buf *out)
{
    unsigned char bytes[64];
    invariant(n <= sizeof(bytes));
    random_bytes(bytes, n);
    for (size_t i = 0; i < n; i++)
        buf_put_byte(out, letters[bytes[i] % 32]);
    explicit_bzero(bytes, sizeof(bytes));
}

struct count {
    struct span name;
    const char *id;
    size_t n;
    bool name_taken, id_taken;
};

static int count_one(void *arg, const struct app_password *p)
{
    struct count *c = arg;
    c->n++;
    c->name_taken |= span_eq(p->name, c->name);
    c->id_taken |= span_eq(p->id, span_str(c->id));
    return 0;
}

static int check_new(struct span user, struct span name, struct span services, struct err *err)
{
    if (!user_name_valid(user))
        return err_set(err, ERR_INVALID, "not a user name");
    if (!user_name_valid(name) || name.n > APP_PASSWORD_NAME_MAX)
        return err_set(err, ERR_INVALID, "a name has 1 to %d bytes without control characters",
                       APP_PASSWORD_NAME_MAX);
    for (size_t i = 0; i < services.n; i++) {
        char c = services.p[i];
        bool comma_ok = i > 0 && i + 1 < services.n && services.p[i - 1] != ',';
        if (!(c >= 'a' && c <= 'z') && !(c == ',' && comma_ok))
            return err_set(err, ERR_INVALID, "services are words separated by commas (imap,smtp)");
    }
    return 0;
}

static int append(struct edit *e, struct span user, struct span name, struct span services,
                  uint64_t expires, struct span plain, struct span id, struct err *err)
{
    unsigned char salt[SALT_SIZE];
    autobuf out = BUF_INIT(FILE_LIMIT);
    random_bytes(salt, sizeof(salt));
    buf_put_span(&out, buf_span(&e->text));
    if (out.n && out.p[out.n - 1] != '\n')
        buf_put_byte(&out, '\n');
    put_escaped(user, &out);
    buf_printf(&out, ":" SPAN_FMT ":", SPAN_ARG(id));
    put_escaped(name, &out);
    buf_put_byte(&out, ':');
    put_hash(plain, salt, &out);
    buf_printf(&out, ":" SPAN_FMT ":%llu:%llu\n", SPAN_ARG(services), (unsigned long long)expires,
               (unsigned long long)(clock_wall_us() / 1000000));
    return buf_ok(&out) ? edit_commit(e, buf_span(&out), err)
                        : err_set(err, ERR_LIMIT, "%s: too large", e->file);
}

static int add_locked(struct edit *e, struct span user, struct span name, struct span services,
                      uint64_t expires, struct span plain, struct buf *id, struct err *err)
{
    struct count c;
    do {
        buf_reset(id);
        make_word(6, id);
        c = (struct count){.name = name, .id = id->p};
        struct walk w = {e->file, user, count_one, &c, err};
        int r = edit_each_line(buf_span(&e->text), walk_line, &w);
        if (r < 0)
            return r;
    } while (c.id_taken);
    if (c.name_taken)
        return err_set(err, ERR_EXISTS, SPAN_FMT " has an application password " SPAN_FMT,
                       SPAN_ARG(user), SPAN_ARG(name));
    if (c.n >= APP_PASSWORDS_PER_USER_MAX)
        return err_set(err, ERR_LIMIT, SPAN_FMT " has %zu application passwords", SPAN_ARG(user),
                       c.n);
    return append(e, user, name, services, expires, plain, buf_span(id), err);
}

int app_password_add(const char *file, struct span user, struct span name, struct span services,
                     uint64_t expires, struct buf *ret_secret, struct buf *ret_id, struct err *err)
{
    struct edit e;
    autobuf plain = BUF_INIT(64), id = BUF_INIT(APP_PASSWORD_ID_MAX);
    int r = check_new(user, name, services, err);
    if (r == 0)
        r = edit_begin(&e, file, err);
    if (r < 0)
        return r;
    make_word(SECRET_CHARS, &plain);
    r = add_locked(&e, user, name, services, expires, buf_span(&plain), &id, err);
    edit_end(&e);
    if (r == 0) {
        for (size_t i = 0; i < plain.n; i++) {
            if (i && i % 4 == 0)
                buf_put_byte(ret_secret, '-');
            buf_put_byte(ret_secret, plain.p[i]);
        }
        buf_put_span(ret_id, buf_span(&id));
    }
    explicit_bzero(plain.p, plain.n);
    return r;
}

struct revoke {
    const char *file;
    struct span user, id; /* id empty: all */
    struct buf out;
    int removed;
    struct err *err;
};

static int revoke_line(void *arg, struct span line, unsigned number)
{
    struct revoke *v = arg;
    struct parsed d;
    int r = parse_line(line, &d);
    bool goes = r > 0 && span_eq(d.p.user, v->user) &&
                (!v->id.n || span_eq(d.p.id, v->id) || span_eq(d.p.name, v->id));
    parsed_done(&d);
    if (r < 0)
        return bad_line(v->file, number, v->err);
    if (goes) {
        v->removed++;
        return 0;
    }
    buf_put_span(&v->out, line);
    buf_put_byte(&v->out, '\n');
    return 0;
}

static int revoke_lines(const char *file, struct span user, struct span id, struct err *err)
{
    struct revoke v = {file, user, id, BUF_INIT(FILE_LIMIT), 0, err};
    struct edit e;
    int r = edit_begin(&e, file, err);
    if (r < 0)
        return r;
    r = edit_each_line(buf_span(&e.text), revoke_line, &v);
    if (r == 0 && v.removed)
        r = edit_commit(&e, buf_span(&v.out), err);
    buf_done(&v.out);
    edit_end(&e);
    return r < 0 ? r : v.removed;
}

int app_password_revoke(const char *file, struct span user, struct span id, struct err *err)
{
    int r = id.n ? revoke_lines(file, user, id, err) : 0;
    if (r == 0)
        return err_set(err, ERR_NOT_FOUND, SPAN_FMT " has no application password " SPAN_FMT,
                       SPAN_ARG(user), SPAN_ARG(id));
    return MIN(r, 0);
}

int app_password_revoke_all(const char *file, struct span user, struct err *err)
{
    if (access(file, F_OK) < 0)
        return 0;
    return revoke_lines(file, user, SPAN_EMPTY, err);
}

/* In memory. */

struct held {
    struct held *next;
    uint64_t expires;
    char *name, *services, *hash;
};

struct app_passwords {
    char *file;
    pthread_mutex_t lock;
    struct file_state state;
    struct map by_user; /* struct held *, the user's */
    bool broken;        /* never read successfully */
};

static void free_all(struct map *by_user)
{
    size_t at = 0;
    struct span key;
    void *value;
    while (map_next(by_user, &at, &key, &value)) {
        for (struct held *h = value, *next; h; h = next) {
            next = h->next;
            free(h->name);
            free(h->services);
            free(h->hash);
            free(h);
        }
    }
    map_done(by_user);
}

static int hold(void *arg, const struct app_password *p)
{
    struct map *by_user = arg;
    struct held *h = xnew(struct held);
    h->expires = p->expires;
    h->name = span_dup(p->name);
    h->services = span_dup(p->services);
    h->hash = span_dup(p->hash);
    h->next = map_get(by_user, p->user);
    map_put(by_user, p->user, h);
    return 0;
}

static void refresh(struct app_passwords *a)
{
    struct map fresh = MAP_INIT;
    struct err err;
    if (!*a->file || !file_state_changed(&a->state, a->file))
        return;
    if (app_password_each(a->file, SPAN_EMPTY, hold, &fresh, &err) < 0) {
        log_event(LOG_ERROR, "app-passwords-not-loaded", "msg", err.text, NULL);
        free_all(&fresh);
        return;
    }
    free_all(&a->by_user);
    a->by_user = fresh;
    a->broken = false;
}

struct app_passwords *app_passwords_new(const char *file)
{
    struct app_passwords *a = xnew(struct app_passwords);
    a->file = span_dup(span_str(file));
    a->broken = *file != '\0' && access(file, F_OK) == 0;
    pthread_mutex_init(&a->lock, NULL);
    refresh(a);
    return a;
}

void app_passwords_free(struct app_passwords *a)
{
    if (!a)
        return;
    free_all(&a->by_user);
    pthread_mutex_destroy(&a->lock);
    free(a->file);
    free(a);
}

bool app_passwords_any(struct app_passwords *a)
{
    pthread_mutex_lock(&a->lock);
    refresh(a);
    bool any = a->by_user.count > 0;
    pthread_mutex_unlock(&a->lock);
    return any;
}

static bool service_good(const struct held *h, struct span service)
{
    struct span rest = span_str(h->services), word;
    if (!rest.n)
        return true;
    while (span_split(&rest, ',', &word))
        if (span_eq(word, service))
            return true;
    return false;
}

int app_passwords_check(struct app_passwords *a, struct span user, struct span password,
                        struct span service, char **ret_name, struct err *err)
{
    autobuf plain = BUF_INIT(64);
    uint64_t now = clock_wall_us() / 1000000;
    char *found = NULL;
    if (!app_password_looks_like(password))
        return err_set(err, ERR_NOT_FOUND, "not an application password");
    normalise(password, &plain);
    pthread_mutex_lock(&a->lock);
    refresh(a);
    bool broken = a->broken;
    for (const struct held *h = map_get(&a->by_user, user); h; h = h->next)
        if (hash_fits(span_str(h->hash), buf_span(&plain)) && !found &&
            (!h->expires || now < h->expires) && service_good(h, service))
            found = span_dup(span_str(h->name));
    pthread_mutex_unlock(&a->lock);
    explicit_bzero(plain.p, plain.n);
    if (found) {
        *ret_name = found;
        return 0;
    }
    return broken ? err_set(err, ERR_BUSY, "%s cannot be read", a->file)
                  : err_set(err, ERR_NOT_FOUND, "no such application password");
}
