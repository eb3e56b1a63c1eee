"""What the role does on the controller: reads an inventory, checks it, and says what each router is to have."""
