# `make install` and `make deb`: what goes where on a Debian system.
include(GNUInstallDirs)
set(CONFIG_DIR /etc/tdsbouncer)
install(FILES configs/proxy.yaml configs/buckets.yaml DESTINATION ${CONFIG_DIR}
        PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ)
install(FILES deployments/systemd/tdsbouncer.service deployments/systemd/tdsbouncer.socket
        DESTINATION lib/systemd/system)
install(FILES docs/man/tdsbouncer.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES docs/man/tdsbouncer.yaml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES deployments/completion/tdsbouncer DESTINATION share/bash-completion/completions)
install(FILES README.md CHANGELOG.md DESTINATION share/doc/tdsbouncer)
install(FILES LICENSE DESTINATION share/doc/tdsbouncer RENAME copyright)
install(DIRECTORY docs/ DESTINATION share/doc/tdsbouncer/docs FILES_MATCHING PATTERN "*.md" PATTERN man EXCLUDE)
install(DIRECTORY deployments/grafana deployments/prometheus DESTINATION share/doc/tdsbouncer/examples)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tdsbouncer)
set(CPACK_PACKAGE_CONTACT "tdsbouncer maintainers <maintainers@tdsbouncer.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "connection-pooling proxy for Microsoft SQL Server")
set(CPACK_PACKAGE_DESCRIPTION "Speaks TDS on both sides, keeps the number of server connections under a limit that all
its instances share through Redis, queues what does not fit, and gives each server connection to many
clients, one transaction at a time.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS passwd)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "redis-server, haproxy, prometheus")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/deployments/debian/conffiles
    ${CMAKE_SOURCE_DIR}/deployments/debian/postinst ${CMAKE_SOURCE_DIR}/deployments/debian/prerm
    ${CMAKE_SOURCE_DIR}/deployments/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
