//! `coracle check`. In: an app's folder and the operator's file. Out: on standard output the graph, an answer or a difference; what is
//! wrong or hardly meant on standard error. Nothing is built and nothing runs.

use std::{path::Path, process::ExitCode};

use coracle_compose::audit::{self, From, To};
use coracle_manifest::{App, Operator, Problems, operator};

use crate::args::{Check, GraphFormat};

mod dot;
mod drawing;
mod json;
mod svg;
mod text;

/// `--can-reach` says no.
const NO: u8 = 1;
/// The manifest, the operator's file, a component or the question is wrong.
const WRONG: u8 = 2;

/// Status 0 when nothing is wrong and what was asked for can be reached, 1 when it cannot, 2 when something is wrong.
pub(crate) fn check(args: &Check) -> ExitCode {
    if let Err(wrong) = args.drawable() {
        wrong.exit();
    }
    match checked(args) {
        Ok(code) => code,
        Err(Refused::Problems(problems)) => {
            eprintln!("{}", problems.render(false));
            ExitCode::from(WRONG)
        }
        Err(Refused::Question(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(WRONG)
        }
    }
}

enum Refused {
    Problems(Problems),
    Question(audit::AskError),
}

impl std::convert::From<Problems> for Refused {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl std::convert::From<audit::AskError> for Refused {
    fn from(error: audit::AskError) -> Self {
        Self::Question(error)
    }
}

#[expect(
    clippy::print_stdout,
    reason = "what is printed is this command's result"
)]
fn checked(args: &Check) -> Result<ExitCode, Refused> {
    let operator = self::operator(args)?;
    let profile = args.profile.as_deref();
    let app = coracle_manifest::load(&args.app, profile)?;
    let remarks = coracle_host::check::check(&app, &operator)?;
    for remark in &remarks {
        eprintln!("warning: {remark}");
    }
    if let Some([from, to]) = args.can_reach.as_deref() {
        let ways = audit::ways(&app, &From::parse(&app, from)?, &To::parse(&app, to)?);
        print!(
            "{}",
            match args.format {
                GraphFormat::Json => json::answer(&ways),
                _ => text::answer(&ways),
            }
        );
        return Ok(match ways.as_slice() {
            [] => ExitCode::from(NO),
            _ => ExitCode::SUCCESS,
        });
    }
    if let Some(dir) = &args.against {
        let lines = audit::difference(&app, &other(dir, profile, &operator)?);
        print!(
            "{}",
            match args.format {
                GraphFormat::Json => json::difference(&lines),
                _ => text::difference(&lines),
            }
        );
        return Ok(ExitCode::SUCCESS);
    }
    print!(
        "{}",
        match args.format {
            GraphFormat::Text => text::graph(&app),
            GraphFormat::Json => json::graph(&app),
            GraphFormat::Dot => dot::graph(&app),
            GraphFormat::Svg => svg::graph(&app),
        }
    );
    Ok(ExitCode::SUCCESS)
}

fn operator(args: &Check) -> Result<Operator, Problems> {
    match &args.host_file {
        Some(file) => operator::load(file),
        None => operator::load_if_present(Path::new(operator::OPERATOR_FILE)),
    }
}

/// The other version is compared by what is effective here: its grants where this operator allows them.
fn other(dir: &Path, profile: Option<&str>, operator: &Operator) -> Result<App, Problems> {
    let app = coracle_manifest::load(dir, profile)?;
    operator.permits(&app)?;
    Ok(app)
}
