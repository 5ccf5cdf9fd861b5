/* What may be signed, and signing it. */
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "auth/key_set_int.h"
#include "io/tls.h"

static const struct {
    enum tls_scheme scheme;
    const char *type, *digest; /* of the key; none for Ed25519 */
    bool pss, tls13;           /* allowed in TLS 1.3 */
} schemes[] = {
    {TLS_RSA_PKCS1_SHA256, "RSA", "SHA256", false, false},
    {TLS_RSA_PKCS1_SHA384, "RSA", "SHA384", false, false},
    {TLS_RSA_PKCS1_SHA512, "RSA", "SHA512", false, false},
    {TLS_RSA_PSS_SHA256, "RSA", "SHA256", true, true},
    {TLS_RSA_PSS_SHA384, "RSA", "SHA384", true, true},
    {TLS_RSA_PSS_SHA512, "RSA", "SHA512", true, true},
    {TLS_ECDSA_SHA256, "EC", "SHA256", false, true},
    {TLS_ECDSA_SHA384, "EC", "SHA384", false, true},
    {TLS_ECDSA_SHA512, "EC", "SHA512", false, true},
    {TLS_ED25519, "ED25519", NULL, false, true},
};

static int find_scheme(uint32_t scheme)
{
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if ((uint32_t)schemes[i].scheme == scheme)
            return (int)i;
    return -1;
}

/* RFC 8446 section 4.4.3: CertificateVerify, over a transcript hash of SHA-256 or SHA-384. */
static bool is_certificate_verify(struct span data)
{
    static const char context[] = "TLS 1.3, server CertificateVerify"; /* with its NUL */
    if (data.n != 64 + sizeof(context) + 32 && data.n != 64 + sizeof(context) + 48)
        return false;
    for (size_t i = 0; i < 64; i++)
        if (data.p[i] != ' ')
            return false;
    return memcmp(data.p + 64, context, sizeof(context)) == 0;
}

/* RFC 8422 section 5.4: two randoms, then ServerECDHParams with one of the groups that are
 * offered. */
static bool is_key_exchange(struct span data)
{
    static const struct {
        unsigned char group, point;
    } groups[] = {{23, 65}, {24, 97}, {25, 133}, {29, 32}};
    if (data.n < 68 || data.p[64] != 3 || data.p[65] != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        if ((unsigned char)data.p[66] == groups[i].group &&
            (unsigned char)data.p[67] == groups[i].point && data.n == 68u + groups[i].point)
            return true;
    return false;
}

bool key_may_sign(uint32_t scheme, struct span data)
{
    int i = find_scheme(scheme);
    return i >= 0 && (is_key_exchange(data) || (schemes[i].tls13 && is_certificate_verify(data)));
}

static bool sign_with(EVP_MD_CTX *c, int i, const struct key *k, struct span data, struct buf *ret)
{
    EVP_PKEY_CTX *p;
    size_t n = SIGNATURE_MAX;
    if (EVP_DigestSignInit_ex(c, &p, schemes[i].digest, NULL, NULL, k->private, NULL) != 1)
        return false;
    if (schemes[i].pss && (EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) <= 0 ||
                           EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) <= 0))
        return false;
    char *to = buf_reserve(ret, n);
    if (!to ||
        EVP_DigestSign(c, (unsigned char *)to, &n, (const unsigned char *)data.p, data.n) != 1)
        return false;
    buf_commit(ret, n);
    return true;
}

int key_sign(const struct key *k, uint32_t scheme, struct span data, struct buf *ret)
{
    int i = find_scheme(scheme);
    if (i < 0 || !EVP_PKEY_is_a(k->private, schemes[i].type) || !key_may_sign(scheme, data))
        return ERR_DENIED;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    int r = c && sign_with(c, i, k, data, ret) ? 0 : ERR_INVALID;
    EVP_MD_CTX_free(c);
    ERR_clear_error();
    return r;
}
