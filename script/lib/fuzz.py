"""Runs fuzz targets side by side; script/fuzz calls it: SECONDS [TARGET ...]."""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile


def run(target, seconds):
    """(target, passed, inputs run, edges covered, last lines)"""
    folder, name = target.split('/')
    name = name[len('fuzz_'):]
    seeds = 'tests/fuzz/%s/corpus/%s' % (folder, name)
    found = 'build-fuzz/corpus/%s/%s' % (folder, name)
    failed = 'build-fuzz/failed/%s/' % target
    for path in (found, failed):
        os.makedirs(path, exist_ok=True)
    dictionary = 'tests/fuzz/%s/%s.dict' % (folder, name)
    command = ['build-fuzz/tests/fuzz/' + target, '-max_total_time=%d' % seconds, '-timeout=20', '-rss_limit_mb=3000',
               '-print_final_stats=1', '-entropic=0', '-detect_leaks=0', '-artifact_prefix=' + failed] + \
        (['-dict=' + dictionary] if os.path.exists(dictionary) else []) + [found, seeds]
    # Leaks are looked for at the end, not after each input.
    env = dict(os.environ, ASAN_OPTIONS='detect_leaks=1', UBSAN_OPTIONS='print_stacktrace=1:halt_on_error=1')
    with tempfile.TemporaryFile() as out:
        p = subprocess.run(command, stdout=out, stderr=out, env=env, stdin=subprocess.DEVNULL)
        out.seek(0)
        text = out.read().decode(errors='replace')
    count = re.search(r'number_of_executed_units: (\d+)', text)
    cover = re.findall(r' cov: (\d+)', text)
    return (target, p.returncode == 0, int(count[1]) if count else 0, int(cover[-1]) if cover else 0,
            text[-6000:] if p.returncode else '')


def main():
    seconds = int(sys.argv[1])
    targets = sorted(os.path.relpath(p, 'build-fuzz/tests/fuzz') for p in glob.glob('build-fuzz/tests/fuzz/*/fuzz_*')
                     if os.access(p, os.X_OK) and os.path.isfile(p))
    if len(sys.argv) > 2:
        unknown = set(sys.argv[2:]) - set(targets)
        if unknown:
            sys.exit('There is no target %s; there are: %s' % (', '.join(unknown), ' '.join(targets)))
        targets = sys.argv[2:]
    passed = 0
    print('%-26s %12s %8s' % ('TARGET', 'INPUTS RUN', 'EDGES'))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for target, good, count, cover, text in pool.map(lambda t: run(t, seconds), targets):
            passed += good
            print('%-26s %12d %8d%s' % (target, count, cover, '' if good else '  FAILED'), flush=True)
            if text:
                print(text)
    print('%d passed, %d failed' % (passed, len(targets) - passed))
    sys.exit(passed != len(targets))


main()
