# tests/deb: Debian packages. make check-debian WHAT=deb (as root) installs them, and goes back
#
# LIBEV_DEBIAN=path names Debian's libev_*.debian.tar.xz, where apt can get no source packages.

DEB_PACKAGES := build-essential debhelper dpkg-dev lintian

.PHONY: deb
deb:
	@tests/setup/install-packages $(sort $(DEB_PACKAGES) $(BUILD_PACKAGES))
	@tests/deb/deb $(BUILD)/deb
