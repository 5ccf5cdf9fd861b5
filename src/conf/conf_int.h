/* conf/conf_int.h: the table of settings. */
#ifndef CONF_CONF_INT_H
#define CONF_CONF_INT_H

#include "conf/conf.h"

enum conf_type {
    CONF_STRING,
    CONF_BOOL,
    CONF_NUMBER,
    CONF_SIZE,         /* bytes: 64kb, 1mb (1024), 10k (1000) */
    CONF_TIME,         /* seconds: 90s, 30min, 1h */
    CONF_MILLISECONDS, /* 500ms, 2s */
    CONF_CHOICE,       /* one of `choices`, stored as its number */
    CONF_LIST,
    CONF_LISTEN, /* a list of addresses with ports */
    CONF_PAIRS,  /* a section of names with values (any, if `choices` is NULL); CONF_LIST of both
                   in turn */
};

struct setting {
    const char *name;
    enum conf_type type;
    size_t offset;
    const char *def; /* in the syntax of the file */
    uint64_t min, max;
    const char *choices; /* "plus minus" */
    bool secret;
    const char *help;
};

extern const struct setting conf_settings[];
extern const size_t conf_setting_count;
/* Read at start only: SIGHUP does not change it. */
bool conf_setting_fixed(const struct setting *s);
const char *conf_type_name(enum conf_type t);
/* Also paths of UNIX sockets. */
bool conf_listen_takes_paths(const struct setting *s);

/* --- values.c --- */

struct place {
    const char *file;
    unsigned line; /* 0: none */
};

/* "FILE:LINE: ..." */
int conf_refuse(const struct place *at, struct err *err, const char *fmt, ...) printf_like(3, 4);
int conf_bad_choice(const struct setting *s, const struct place *at, struct span v,
                    struct err *err);
size_t conf_edit_distance(struct span a, struct span b); /* SIZE_MAX: too long */

void *conf_field(const struct conf *c, const struct setting *s);
bool conf_is_list(const struct setting *s);
const char *conf_keep(struct conf *c, struct span s); /* a copy in its arena */
bool conf_parse_choice(const char *choices, struct span v, uint64_t *ret);
int conf_list_add(struct conf *c, const struct setting *s, struct span v);
void conf_list_clear(struct conf *c, const struct setting *s);
/* One value of a statement, or (v.p NULL) an empty list. */
int conf_set_value(struct conf *c, const struct setting *s, struct span v, bool first,
                   const struct place *at, struct err *err);
/* In the syntax of the file; a secret as "(secret)". */
void conf_put_value(const struct conf *c, const struct setting *s, struct buf *to);

#endif
