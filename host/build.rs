//! New files in the folders that the binary carries (`src/build/embedded.rs`, `src/demo.rs`) are noticed by this
//! alone: the macro that embeds them tracks only those that it has seen.

fn main() {
    println!("cargo::rerun-if-changed=../wit");
    println!("cargo::rerun-if-changed=../guests/Cargo.toml");
    println!("cargo::rerun-if-changed=../guests/demo.toml");
    for folder in ["python/builder", "python/lib", "django-legacy", "django-modern", "flask", "wsgi"] {
        println!("cargo::rerun-if-changed=../guests/{folder}");
    }
    for folder in ["front", "hello-rust", "hello-rust-p3", "test", "wstd-example"] {
        println!("cargo::rerun-if-changed=../guests/{folder}");
    }
}
