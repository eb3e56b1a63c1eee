"""What the documents show works as it stands there."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

import support
import yaml
from dlan_controller import checks

ROOT = support.HERE.parents[1]
DOCS = ROOT / "docs"


def commands():
    """Every ansible-playbook that README.md and docs/ tell people to run, with the document."""
    for path in sorted([ROOT / "README.md", *DOCS.glob("*.md")]):
        for found in re.findall(r"(?:^|`)(ansible-playbook [^`\n]*)", path.read_text(), re.M):
            yield path.name, found


def variables():
    """Every name that the role reads."""
    paths = [path for path in support.ROLE.rglob("*") if path.suffix in (".py", ".yml")]
    paths += (ROOT / "ansible" / "playbooks").iterdir()
    text = "".join(path.read_text() for path in paths)
    stems = re.findall(r'f"(dlan_[a-z_]+_)\{name\}", "".*?for name in \(([^)]*)\)', text)
    made = {stem + name for stem, names in stems for name in re.findall(r'"(\w+)"', names)}
    return made | set(re.findall(r"\bdlan_[a-z0-9_]+", text))


class Documents(unittest.TestCase):
    def test_the_inventory_shown_is_good(self):
        block = re.search(r"```yaml\n(.*?)```", (DOCS / "ansible.md").read_text(), re.S).group(1)
        shown = yaml.safe_load(re.sub(r"^   ", "", block, flags=re.M))["all"]
        hosts = {name: {**shown["vars"], **own} for name, own in shown["hosts"].items()}
        self.assertEqual(checks.read_mesh(hosts).problems, [])

    def test_every_playbook_that_is_named_is_there_and_the_other_way_round(self):
        text = "".join((DOCS / name).read_text() for name in ("ansible.md", "migration.md"))
        named = set(re.findall(r"([a-z]+\.yml)", text)) - {"hosts.yml"}
        there = {path.name for path in pathlib.Path(support.HERE.parent / "playbooks").iterdir()}
        self.assertEqual(named, there)

    def test_ansible_takes_every_command_that_is_shown(self):
        shown = list(commands())
        self.assertGreater(len(shown), 8)
        with tempfile.TemporaryDirectory() as home:
            inventory = pathlib.Path(home, "hosts.yml")
            inventory.write_text("all: { hosts: { r1: { dlan_host_id: 1 } } }\n")
            environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg"), "ANSIBLE_HOME": home, "LC_ALL": "C.UTF-8"}
            program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
            # By their options: ansible reads several playbooks at once.
            playbooks = {}
            for document, command in shown:
                words = [str(inventory) if word == "hosts.yml" else word for word in shlex.split(command)[1:]]
                given = {word.partition("=")[0] for before, word in zip(words, words[1:]) if before == "-e"}
                self.assertLessEqual(given, variables(), f"{document}: {command}")
                options = tuple(word for word in words if not word.startswith("ansible/playbooks/") and "=" not in word)
                playbooks.setdefault(options, set()).update(word for word in words if word.startswith("ansible/playbooks/"))
            for options, names in playbooks.items():
                words = [word if word != "-e" else "--extra-vars=some=thing" for word in options]
                said = subprocess.run(
                    [program, "--syntax-check", *words, *sorted(names)], cwd=ROOT, env=environment, capture_output=True, text=True
                )
                self.assertEqual(said.returncode, 0, f"{options} {names}: {said.stderr}")

    def test_tags_choose_what_the_document_says(self):
        for tag, wanted, unwanted in (
            ("opkg", {"Check the inventory", "Install", "Ask for"}, {"Apply the configuration"}),
            ("configure", {"Check the inventory", "Ask for", "Apply the configuration"}, {"Install"}),
        ):
            with tempfile.TemporaryDirectory() as home:
                environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg"), "ANSIBLE_HOME": home, "LC_ALL": "C.UTF-8"}
                program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
                words = [program, "-i", "r1,", "--list-tasks", "--tags", tag, "ansible/playbooks/deploy.yml"]
                said = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
            tasks = [line.strip().removeprefix("dlan : ") for line in said.splitlines() if line.startswith("      ")]
            for name in wanted:
                self.assertTrue(any(task.startswith(name) for task in tasks), f"{tag}: no {name} in {said}")
            for name in unwanted:
                self.assertFalse(any(task.startswith(name) for task in tasks), f"{tag}: {name} in {said}")

    def test_every_variable_that_is_named_is_read(self):
        there = variables()
        for path in (DOCS / name for name in ("ansible.md", "migration.md", "predecessor.md")):
            named = set(re.findall(r"`(dlan_[a-z0-9_]+)[`:=]", path.read_text()))
            # Files of packages and sections of UCI begin like this too, and one constant of the predecessor has no successor.
            is_name = lambda name: not re.match(r"dlan_(0|x\d)", name)  # noqa: E731
            unread = set(filter(is_name, named - there)) - {"dlan_reload_service_by_filepath"}
            self.assertEqual(unread, set(), path.name)


if __name__ == "__main__":
    unittest.main()
