/* auth/ldap_filter.h: a name inside a filter of LDAP (RFC 4515). Pure, any thread. */
#ifndef AUTH_LDAP_FILTER_H
#define AUTH_LDAP_FILTER_H

#include "base/buf.h"

/* Appends the template with %u replaced by the escaped name and %% by %. */
void ldap_filter_put(const char *template, struct span name, struct buf *out);

#endif
