"""Certificates made for a test run: an authority, servers with several kinds of keys, clients."""
import os
import subprocess

KINDS = {'ec': ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'], 'ec384': ['ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1'],
         'rsa': ['rsa:2048'], 'ed25519': ['ed25519']}


def openssl(*words, **more):
    r = subprocess.run(['openssl', *words], capture_output=True, text=True, timeout=60, **more)
    assert r.returncode == 0, r.stderr
    return r.stdout


class Certificates:
    def __init__(self, directory):
        self.dir = str(directory)
        self.ca = self.authority('ca')

    def path(self, name):
        return os.path.join(self.dir, name)

    def authority(self, name):
        openssl('req', '-x509', '-newkey', *KINDS['ec'], '-nodes', '-days', '3', '-subj', '/CN=' + name, '-addext',
                'basicConstraints=critical,CA:TRUE', '-keyout', self.path(name + '.key'), '-out', self.path(name + '.pem'))
        return self.path(name + '.pem')

    def issue(self, name, kind, names='', common_name=None, ca='ca'):
        """(chain file, key file); names as in subjectAltName."""
        key, pem, request = (self.path(name + x) for x in ('.key', '.pem', '.csr'))
        openssl('req', '-newkey', *KINDS[kind], '-nodes', '-subj', '/CN=' + (common_name or name), '-keyout', key,
                '-out', request)
        with open(self.path('extensions'), 'w') as f:
            f.write('subjectAltName=%s\n' % names if names else 'basicConstraints=CA:FALSE\n')
        openssl('x509', '-req', '-in', request, '-CA', self.path(ca + '.pem'), '-CAkey', self.path(ca + '.key'),
                '-CAcreateserial', '-days', '3', '-extfile', self.path('extensions'), '-out', pem)
        return pem, key
