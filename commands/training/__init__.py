"""Lightning's commands on the models and data of the zoo: options vouched for, processes, run folders kept."""
