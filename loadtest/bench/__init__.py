"""The benchmark of this repository: rivals, bundles and figures. Only this part knows the library."""
