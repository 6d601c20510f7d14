#![no_main]
readout_fuzz::program!("extractions");
