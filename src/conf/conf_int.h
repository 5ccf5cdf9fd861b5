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

#endif
