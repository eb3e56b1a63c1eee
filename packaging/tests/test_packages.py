"""What the packers make: the same octets whoever runs them, with the right owners and modes; and that Debian's goes without a trace.

The program in the packages is a stub, so that nothing has to be built: what it is asked lands in a file.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = (pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "tools").resolve()
STUB = b'#!/bin/sh\necho "$@" >> /asked\n'
PAGES = ("dlan.1", "dlan-status.1", "dlan.bash", "_dlan", "dlan.fish")
BUSYBOX = shutil.which("busybox") or shutil.which("busybox", path=TOOLS / "busybox/bin")


def run(*words, **options):
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, **options).stdout


def pack(where, umask=0o022, moment=None):
    """Has all three packers run in a build directory of their own; returns the packages by name."""
    for name, mode in (("packages/x86_64/dlan", 0o755), ("packages/x86_64/debian/dlan", 0o755), *((f"packages/shell/{page}", 0o644) for page in PAGES)):
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(STUB)
        path.chmod(mode)
        if moment:
            os.utime(path, (moment, moment))
    (where / "tmp").mkdir()
    environment = {**os.environ, "CARGO_TARGET_DIR": str(where), "SOURCE_DATE_EPOCH": "1790000000", "TMPDIR": str(where / "tmp")}
    environment.pop("DLAN_APK_KEY", None)
    # What set-up unpacked once serves here too.
    (where / "tools").symlink_to(TOOLS)
    for packer in ("ipk", "apk", "deb"):
        run(ROOT / "packaging" / packer, "x86_64", env=environment, preexec_fn=lambda: os.umask(umask))
    found = (where / "packages").glob("dlan*")
    return {path.name: path for path in found if path.suffix in (".ipk", ".apk", ".deb")}


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.top)
        cls.made = pack(cls.top / "one")
        cls.deb = next(path for path in cls.made.values() if path.suffix == ".deb")

    def members(self):
        """What is in Debian's package."""
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", self.deb], stdout=subprocess.PIPE) as process:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                return list(archive)

    def test_there_is_one_of_each_kind(self):
        self.assertEqual(sorted(path.suffix for path in self.made.values()), [".apk", ".deb", ".ipk"])

    def test_the_same_octets_come_out_in_another_place_at_another_time_for_another_user(self):
        again = pack(self.top / "somewhere/else", umask=0o002, moment=1_000_000_000)
        self.assertEqual(again.keys(), self.made.keys())
        for name, path in again.items():
            self.assertEqual(path.read_bytes(), self.made[name].read_bytes(), name)

    def router_files(self):
        """What opkg puts on a router: the content of each file, and what the archive says of it, by path."""
        ipk = next(path for path in self.made.values() if path.suffix == ".ipk")
        with tarfile.open(ipk) as outer, tarfile.open(fileobj=outer.extractfile("./data.tar.gz")) as data:
            return {member.name[1:]: (data.extractfile(member).read(), member) for member in data if member.isfile()}

    def test_sysupgrade_keeps_the_directory_that_has_the_keys(self):
        self.assertEqual(self.router_files()["/lib/upgrade/keep.d/dlan"][0], b"/etc/dlan/\n")

    def test_opkg_and_apk_put_the_same_files_on_a_router(self):
        by_opkg = self.router_files()
        apk = next(path for path in self.made.values() if path.suffix == ".apk").read_bytes()
        octets = zlib.decompress(apk[4:], -15)
        listed = re.search(rb"(?:/[\w./-]+\n){5,}", octets).group().decode().split()
        self.assertEqual(listed, sorted(by_opkg))
        for _, member in by_opkg.values():
            source = ROOT / "openwrt/files" / member.name
            is_program = os.access(source, os.X_OK) if source.exists() else member.name == "./usr/bin/dlan"
            self.assertEqual((member.uid, member.gid, member.mode), (0, 0, 0o755 if is_program else 0o644), member.name)

    def test_debian_gets_roots_files_with_careful_modes(self):
        for member in self.members():
            self.assertEqual((member.uid, member.gid), (0, 0), member.name)
            self.assertEqual(member.mode & 0o7022, 0, member.name)
        modes = {member.name: member.mode for member in self.members()}
        self.assertEqual(modes["./etc/dlan"], 0o700)
        self.assertEqual(modes["./usr/bin/dlan"], 0o755)

    def test_the_licences_are_where_debian_looks_for_them(self):
        names = {os.path.basename(member.name) for member in self.members() if member.name.startswith("./usr/share/doc/dlan/")}
        self.assertLessEqual({"copyright", "LICENSE-MIT", "LICENSE-APACHE"}, names)

    def test_everything_below_etc_is_the_administrators(self):
        files = {member.name[1:] for member in self.members() if member.isfile() and member.name.startswith("./etc/")}
        self.assertEqual(files, set(run("dpkg-deb", "--info", self.deb, "conffiles").split()))


class OnDebian(unittest.TestCase):
    """Installed into a root of its own by the real dpkg, with BusyBox for its scripts."""

    setUpClass = Packages.__dict__["setUpClass"]

    def setUp(self):
        if os.geteuid() != 0 or not BUSYBOX:
            self.skipTest("needs root, to change the root, and a busybox")
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        (self.root / "bin").mkdir()
        shutil.copy(BUSYBOX, self.root / "bin/busybox")
        for name in ("sh", "rm", "mkdir"):
            (self.root / "bin" / name).symlink_to("busybox")
        for name in ("var/lib/dpkg/updates", "var/lib/dpkg/info"):
            (self.root / name).mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").write_text(
            "Package: nftables\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: x\nVersion: 1\nDescription: x\n\n")

    def dpkg(self, *words):
        run("dpkg", f"--root={self.root}", "--log=/dev/null", "--force-architecture", *words)

    def there(self):
        """What is there that is not dpkg's own."""
        paths = (path.relative_to(self.root) for path in self.root.rglob("*"))
        return {str(path) for path in paths if not str(path).startswith("var")}

    def test_an_installation_starts_nothing_without_systemd_and_a_removal_leaves_what_is_the_administrators(self):
        before = self.there()
        self.dpkg("--install", self.deb)
        self.assertTrue(os.access(self.root / "usr/bin/dlan", os.X_OK))
        self.assertEqual((self.root / "etc/dlan").stat().st_mode & 0o777, 0o700)
        self.assertFalse((self.root / "asked").exists())
        self.dpkg("--install", self.deb)
        self.assertFalse((self.root / "asked").exists(), "an upgrade leaves everything standing")
        (self.root / "etc/dlan/private.key").write_text("secret")
        self.dpkg("--remove", "dlan")
        self.assertEqual((self.root / "asked").read_text(), "down\n")
        left = self.there() - before
        self.assertEqual({path for path in left if (self.root / path).is_file()},
                         {"asked", "etc/config/dlan", "etc/profile.d/dlan.sh", "etc/dlan/private.key"})

    def with_systemd(self, runs=True):
        """Returns what has dpkg do something, and says what systemd and the program were asked meanwhile."""
        if runs:
            (self.root / "run/systemd/system").mkdir(parents=True)
        systemctl = self.root / "usr/bin/systemctl"
        systemctl.parent.mkdir(parents=True)
        systemctl.write_text('#!/bin/sh\n[ "$1" = daemon-reload ] || echo "$@" >> /asked\n')
        systemctl.chmod(0o755)

        def asked(*words):
            (self.root / "asked").write_text("")
            try:
                self.dpkg(*words)
            finally:
                self.said = (self.root / "asked").read_text()
            return self.said

        return asked

    def test_the_agent_starts_with_the_system_after_an_installation_also_where_it_was_removed_before(self):
        asked = self.with_systemd()
        started = "--quiet enable dlan-boot.service dlan.service\nstart dlan.service\n"
        for _ in range(2):
            self.assertEqual(asked("--install", self.deb), started)
            self.assertEqual(asked("--install", self.deb), "try-restart dlan.service\n", "an upgrade leaves it as it was")
            self.assertEqual(asked("--remove", "dlan"), "--quiet disable dlan.service dlan-boot.service\nstop dlan.service\ndown\n")

    def test_in_an_image_that_is_being_made_the_agent_is_to_start_with_it(self):
        asked = self.with_systemd(runs=False)
        self.assertEqual(asked("--install", self.deb), "--quiet enable dlan-boot.service dlan.service\n")
        self.assertEqual(asked("--install", self.deb), "")
        self.assertEqual(asked("--remove", "dlan"), "--quiet disable dlan.service dlan-boot.service\ndown\n")

    def test_after_a_removal_that_does_not_succeed_the_agent_runs_again(self):
        asked = self.with_systemd()
        asked("--install", self.deb)
        (self.root / "usr/bin/dlan").write_text("#!/bin/sh\nexit 1\n")
        with self.assertRaises(subprocess.CalledProcessError):
            asked("--remove", "dlan")
        self.assertTrue(self.said.endswith("start dlan.service\n"), self.said)

    def test_a_purge_leaves_nothing(self):
        before = self.there()
        self.dpkg("--install", self.deb)
        (self.root / "etc/dlan/private.key").write_text("secret")
        (self.root / "var/lib/dlan").mkdir()
        self.dpkg("--purge", "dlan")
        self.assertEqual(self.there() - before, {"asked"})
        self.assertFalse((self.root / "var/lib/dlan").exists())


class OnOpenWrt(unittest.TestCase):
    def test_the_filter_is_loaded_at_boot_whatever_the_section_of_the_mesh_is_called(self):
        script = (ROOT / "openwrt/files/etc/init.d/dlan-boot").read_text().replace("/usr/bin/dlan", "dlan")
        # OpenWrt's uci finds a section by its kind, named or not.
        words = "dlan() { echo \"$@\"; }; uci() { case \"$3\" in 'dlan.@mesh[0].host_id') echo 1 ;; esac; }"
        self.assertEqual(run("sh", "-c", f"{words}\n{script}\nboot"), "recover\nfirewall --load\n")


@unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd-analyze")
class Units(unittest.TestCase):
    UNITS = sorted((ROOT / "packaging/debian").glob("*.service"))

    def test_systemd_understands_every_line(self):
        with tempfile.TemporaryDirectory() as top:
            # The program is to be there.
            program = pathlib.Path(top) / "dlan"
            program.write_bytes(STUB)
            program.chmod(0o755)
            for unit in self.UNITS:
                text = unit.read_text().replace("/usr/bin/dlan", str(program)).replace("Documentation=man:", "#")
                (pathlib.Path(top) / unit.name).write_text(text)
            for unit in self.UNITS:
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", pathlib.Path(top) / unit.name],
                                      capture_output=True, text=True, check=False)
                about = [line for line in done.stderr.splitlines() if unit.name in line]
                self.assertEqual(about, [])

    def test_the_agent_has_no_more_rights_than_it_needs(self):
        said = run("systemd-analyze", "security", "--no-pager", "--offline=true", ROOT / "packaging/debian/dlan.service")
        exposure = float(re.search(r"exposure level for dlan.service: ([\d.]+)", said).group(1))
        self.assertLess(exposure, 6.0)


if __name__ == "__main__":
    unittest.main()
