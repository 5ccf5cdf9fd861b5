/* tests/fuzz/replay.c: runs a fuzz target over every file of the folders named, and prints how many
 * there were. Fails if there is none. */
#include <dirent.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void run_file(const char *path)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    FILE *f = fopen(path, "rb");
    char block[4096];
    size_t n;
    if (!f)
        return;
    while ((n = fread(block, 1, sizeof(block), f)) > 0)
        buf_put(&b, block, n);
    fclose(f);
    /* An exact heap copy, as libFuzzer gives it. */
    autofree uint8_t *copy = xmalloc(b.n);
    if (b.n)
        memcpy(copy, b.p, b.n);
    LLVMFuzzerTestOneInput(copy, b.n);
}

static unsigned run_folder(const char *folder)
{
    unsigned n = 0;
    DIR *d = opendir(folder);
    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d)); n++) {
        autobuf path = BUF_INIT(4096);
        if (e->d_name[0] == '.') {
            n--;
            continue;
        }
        buf_printf(&path, "%s/%s", folder, e->d_name);
        run_file(path.p);
    }
    closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    unsigned n = 0;
    for (int i = 1; i < argc; i++)
        n += run_folder(argv[i]);
    printf("%u inputs\n", n);
    return n == 0;
}
