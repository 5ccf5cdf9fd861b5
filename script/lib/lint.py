"""Runs the static checkers over the sources that build-lint compiles; script/lint calls it."""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

BUILD = 'build-lint'


def run(command, cwd='.'):
    p = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    return p.returncode, p.stdout


def sources():
    """Path -> how it is compiled."""
    found = {}
    with open(BUILD + '/compile_commands.json') as f:
        for entry in json.load(f):
            path = os.path.relpath(os.path.join(BUILD, entry['file']))
            if path.startswith('src/'):
                found.setdefault(path, entry)
    return found


def changed():
    _, text = run(['git', 'diff', '--name-only', 'HEAD~1'])
    return set(text.split())


def tidy(path, entry):
    del entry
    code, text = run(['clang-tidy', '-p', BUILD, '--quiet', path])
    text = '\n'.join(line for line in text.splitlines()
                     if not re.match(r'\d+ warnings? generated|Suppressed|Use -header-filter', line))
    return text if code else ''


def analyze(path, entry):
    """-O1, and not as our own code is built: what the analyzer of gcc 12 takes at more is not worth the time."""
    command, skip = [], False
    for word in shlex.split(entry['command'])[1:]:
        if skip or word in ('-o', '-MF', '-MQ'):
            skip = not skip
        elif not word.startswith(('-O', '-M')) and word != '-g':
            command.append(word)
    # It takes iconv_t for memory that has to be freed at once; AddressSanitizer finds leaks.
    code, text = run(['gcc', '-fanalyzer', '-O1', '-U_FORTIFY_SOURCE', '-Wno-analyzer-malloc-leak',
                      '-fdiagnostics-plain-output',
                      '-o', '/dev/null'] + command, cwd=BUILD)
    return text if code or 'warning:' in text else ''


def formatted(path, entry):
    del entry
    code, text = run(['clang-format', '--dry-run', '-Werror', path])
    return text if code else ''


def cppcheck():
    os.makedirs(BUILD + '/cppcheck', exist_ok=True)
    code, text = run(['cppcheck', '-q', '-I', 'src', '--enable=warning,portability,performance', '--std=c11', '-D_GNU_SOURCE',
                      '--error-exitcode=1', '--suppressions-list=tests/lint/cppcheck.txt', '--suppress=missingIncludeSystem',
                      '--cppcheck-build-dir=' + BUILD + '/cppcheck', '-j', str(os.cpu_count()), 'src'])
    return text if code else ''


def shellcheck():
    files = [f for f in run(['git', 'ls-files', 'script', '.ci', 'tests/e2e/install-packages'])[1].split()
             if not f.endswith('.py')]
    code, text = run(['shellcheck', '-x', '-e', 'SC1091'] + files)
    return text if code else ''


def main():
    all_of = sources()
    only = changed() if '--changed' in sys.argv else None
    todo = {p: e for p, e in all_of.items() if only is None or p in only}
    headers = [h for h in run(['git', 'ls-files', 'src/*.h', 'tests/*.c', 'tests/*.h'])[1].split() if only is None or h in only]
    jobs = [('cppcheck', '', cppcheck, ()), ('shellcheck', '', shellcheck, ())]
    jobs += [('clang-format', p, formatted, (p, None)) for p in list(todo) + headers]
    jobs += [(f.__name__, p, f, (p, e)) for p, e in todo.items() for f in (tidy, analyze)]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = {pool.submit(f, *args): (name, p) for name, p, f, args in jobs}
        for n, future in enumerate(concurrent.futures.as_completed(waiting), 1):
            name, path = waiting[future]
            if sys.stderr.isatty():
                sys.stderr.write('\r%d of %d' % (n, len(jobs)))
            if future.result():
                bad += 1
                print('== %s %s\n%s' % (name, path, future.result()), flush=True)
    if sys.stderr.isatty():
        sys.stderr.write('\r')
    print('lint: clean' if not bad else 'lint: %d with findings' % bad)
    sys.exit(bad != 0)


main()
