"""The lessons are at the top of the repository, where one looks for them; in a wheel they are in the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["minidiffusion*"]), "minidiffusion._lessons"],
    package_dir={"minidiffusion._lessons": "lessons"},
)
