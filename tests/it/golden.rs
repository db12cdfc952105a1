//! Golden files: tables that people read, compared to the letter.
//! Re-record with `INSTA_UPDATE=always`, read the difference, and say in the commit why each changed line is right.

/// Compares a text with `tests/golden/<name>.snap`.
pub fn compare(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
