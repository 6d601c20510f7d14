#![no_main]
readout_fuzz::program!("database_url");
