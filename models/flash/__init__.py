"""FlashMD: networks that predict positions and momenta many femtoseconds ahead."""
