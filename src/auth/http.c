#include "auth/http_int.h"

#include <curl/curl.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_put_escaped(struct span s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (ascii_is_alpha(c) || ascii_is_digit(c) || memchr("-._~", c, 4))
            buf_put_byte(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
    struct buf *b = arg;
    buf_put(b, p, size * n);
    return buf_ok(b) ? size * n : 0; /* less ends the transfer */
}

static void set_all(CURL *c, const struct http_request *q, struct buf *body, char *why)
{
    curl_easy_setopt(c, CURLOPT_URL, q->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)q->timeout_s);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "martlet/" MARTLET_VERSION);
    if (*q->ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, q->ca_file);
    if (q->body)
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body);
    if (q->user) {
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(c, CURLOPT_USERNAME, q->user);
        curl_easy_setopt(c, CURLOPT_PASSWORD, q->password);
    }
}

int http_fetch(const struct http_request *q, struct buf *ret, struct err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    autobuf body = BUF_INIT(HTTP_BODY_MAX);
    pthread_once(&once, init);
    CURL *c = curl_easy_init();
    if (!c)
        return err_set(err, ERR_BUSY, "libcurl does not start");
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    set_all(c, q, &body, why);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    CURLcode r = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    if (r != CURLE_OK)
        return err_set(err, ERR_BUSY, "%.100s: %.100s", q->url, *why ? why : curl_easy_strerror(r));
    if (status != 200)
        return err_set(err, ERR_BUSY, "%.100s: status %ld", q->url, status);
    buf_put_span(ret, buf_span(&body));
    return buf_ok(ret) ? 0 : err_set(err, ERR_BUSY, "%.100s: too long an answer", q->url);
}
