//! `policies new`: copies one of the example policies into a folder, as a starting point for your own.
//! The examples are those of `policies/examples`, embedded, because the program is
//! installed without its source.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;

/// The table of prices, which every folder of policies needs.
const PRICES: (&str, &str) = (
    "tables/prices.toml",
    include_str!("../../../policies/tables/prices.toml"),
);

/// The arguments of `policies new`.
#[derive(Debug, Args)]
pub struct New {
    /// The example
    #[arg(value_parser = PossibleValuesParser::new(EXAMPLES.iter().map(|example| example.name)))]
    pub name: String,

    /// The folder to write, which must not exist or be empty [default: the name of the example]
    pub dir: Option<PathBuf>,
}

/// An example: a whole folder of policies.
struct Example {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
}

/// Files of an example, with their paths below its folder.
macro_rules! example {
    ($name:literal: $($file:literal),+ $(,)?) => {
        Example {
            name: $name,
            files: &[$((
                $file,
                include_str!(concat!("../../../policies/examples/", $name, "/", $file)),
            )),+],
        }
    };
}

const EXAMPLES: [Example; 5] = [
    example!(
        "consulting":
        "client_meals.test.toml",
        "client_meals.toml",
        "common.toml",
        "evidence.test.toml",
        "gifts.test.toml",
        "gifts.toml",
        "internal.test.toml",
        "internal.toml",
        "lodging.test.toml",
        "lodging.toml",
        "meals.test.toml",
        "meals.toml",
        "travel.test.toml",
        "travel.toml",
        "unstated.test.toml",
    ),
    example!(
        "federal-per-diem":
        "common.toml",
        "evidence.test.toml",
        "lodging.test.toml",
        "lodging.toml",
        "meals_and_incidentals.test.toml",
        "meals_and_incidentals.toml",
        "other.test.toml",
        "other.toml",
        "own_car.test.toml",
        "own_car.toml",
        "transport.test.toml",
        "transport.toml",
        "unstated.test.toml",
    ),
    example!(
        "german-travel":
        "common.toml",
        "daily_allowance.test.toml",
        "daily_allowance.toml",
        "evidence.test.toml",
        "incidentals.test.toml",
        "incidentals.toml",
        "lodging.test.toml",
        "lodging.toml",
        "other.test.toml",
        "other.toml",
        "own_car.test.toml",
        "own_car.toml",
        "tables/abroad.toml",
        "transport.test.toml",
        "transport.toml",
        "unstated.test.toml",
    ),
    example!(
        "small-company":
        "client_meals.test.toml",
        "client_meals.toml",
        "client_meals_unstated.test.toml",
        "common.toml",
        "evidence.test.toml",
        "flights.test.toml",
        "flights.toml",
        "flights_unstated.test.toml",
        "gifts.test.toml",
        "gifts.toml",
        "gifts_unstated.test.toml",
        "home_office.test.toml",
        "home_office.toml",
        "lodging.test.toml",
        "lodging.toml",
        "lodging_unstated.test.toml",
        "meals.test.toml",
        "meals.toml",
        "mileage.test.toml",
        "mileage.toml",
        "other.test.toml",
        "other.toml",
        "subscriptions.test.toml",
        "subscriptions.toml",
        "travel.test.toml",
        "travel.toml",
    ),
    example!(
        "university":
        "common.toml",
        "evidence.test.toml",
        "flights.test.toml",
        "flights.toml",
        "gifts.test.toml",
        "gifts.toml",
        "hospitality.test.toml",
        "hospitality.toml",
        "lodging.test.toml",
        "lodging.toml",
        "meals.test.toml",
        "meals.toml",
        "mileage.test.toml",
        "mileage.toml",
        "other.test.toml",
        "other.toml",
        "supplies.test.toml",
        "supplies.toml",
        "unstated.test.toml",
    ),
];

/// Writes the files of an example.
///
/// # Errors
/// When the folder is not empty or cannot be written.
pub fn new(wanted: &New, out: &mut dyn Write) -> anyhow::Result<()> {
    let dir = wanted
        .dir
        .clone()
        .unwrap_or_else(|| wanted.name.clone().into());
    if std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty; name a new folder", dir.display());
    }
    let files = EXAMPLES
        .iter()
        .filter(|example| example.name == wanted.name)
        .flat_map(|example| example.files)
        .chain([&PRICES]);
    for (file, text) in files {
        write_file(&dir.join(file), text)?;
        writeln!(out, "wrote {}", dir.join(file).display())?;
    }
    let dir = dir.display();
    writeln!(out, "next: expense-agent policies test {dir}")?;
    Ok(())
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}
